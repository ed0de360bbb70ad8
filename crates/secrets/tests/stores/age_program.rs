//! The embedded store and age's own program read what the other has written.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use provision_secrets::{Config, Item, STORE_FILE, SecretValue, Source, Stores, Surroundings, Version, new_store};

fn run(program: &str, args: &[&str], directory: &Path, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {args:?}");
    output.stdout
}

#[tokio::test]
async fn each_reads_what_the_other_has_written() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("secrets")).unwrap();
    run("age-keygen", &["-o", "age.key"], root, b"");
    run(
        "ssh-keygen",
        &["-q", "-N", "", "-t", "ed25519", "-f", "ssh.key"],
        root,
        b"",
    );
    let age_public = String::from_utf8(run("age-keygen", &["-y", "age.key"], root, b""))
        .unwrap()
        .trim()
        .to_owned();
    let ssh_public = fs::read_to_string(root.join("ssh.key.pub")).unwrap().trim().to_owned();
    fs::write(
        root.join(STORE_FILE),
        new_store(&[age_public.clone(), ssh_public.clone()]).unwrap(),
    )
    .unwrap();
    let stores = |key: &str| {
        let identity = Some(root.join(key));
        Stores::with(
            root,
            Config::default(),
            Surroundings {
                identity,
                ..Surroundings::default()
            },
        )
    };
    let item = Item {
        source: Source::Age {
            name: "tls/key".to_owned(),
        },
        key: None,
    };
    let bytes = b"-----BEGIN X-----\n\0\xff\r\n\n";
    stores("age.key")
        .put(&item, SecretValue::new(bytes.to_vec()))
        .await
        .unwrap();

    // Ours, read by age: exactly the value.
    let text = fs::read_to_string(root.join(STORE_FILE)).unwrap();
    let armored = text.split("\"\"\"").nth(1).unwrap().trim_start();
    for key in ["age.key", "ssh.key"] {
        assert_eq!(run("age", &["-d", "-i", key], root, armored.as_bytes()), bytes, "{key}");
        let value = stores(key).values(&[(item.clone(), Version::new("v1"))].into()).await;
        assert_eq!(value[&item].as_ref().unwrap().expose(), bytes, "{key}");
    }

    // age's, read by us, armored and not.
    for (key, public) in [("age.key", &age_public), ("ssh.key", &ssh_public)] {
        for form in [&["-r", public.as_str()][..], &["-a", "-r", public.as_str()]] {
            let file = run("age", form, root, bytes);
            assert_eq!(
                stores(key).open_age_file(&file).unwrap().expose(),
                bytes,
                "{key} {form:?}"
            );
        }
    }
    assert!(stores("age.key").open_age_file(b"age-encryption.org/v1\n").is_err());
}
