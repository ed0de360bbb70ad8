//! Every way in which Secrets Manager refuses is told apart, with its subject and a way out.

use std::mem::discriminant;
use std::path::PathBuf;

use provision_secrets::{Item, Problem, SecretValue, Source, StoreError, Stores};

use crate::scene::{KEYS, REGION, Scene, aws, scene, staged};

async fn refused(stores: &Stores, item: &Item) -> StoreError {
    stores
        .versions(&[item.clone()].into())
        .await
        .remove(item)
        .unwrap()
        .unwrap_err()
}

fn check(error: &StoreError, subject: &str, kind: &Problem, says: &str) {
    assert_eq!(discriminant(&error.problem), discriminant(kind), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(subject) && text.contains(says), "{text}");
    let problem = error.problem.to_string();
    let names = ["AWS ", "Secrets Manager "];
    assert!(
        problem.starts_with(char::is_lowercase) || names.iter().any(|name| problem.starts_with(name)),
        "{problem}"
    );
    assert!(error.fix().len() > 20, "{}", error.fix());
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn what_the_service_refuses() {
    scene("refusals::what_the_service_refuses", &KEYS, |scene| async move {
        scene.create("token", "canary-value").await;
        scene.create("gone", "canary-value").await;
        scene.admin().delete_secret().secret_id("gone").send().await.unwrap();
        let text = String::new;
        let stores = scene.stores();
        for (item, code, message, kind, says) in [
            (
                aws("none"),
                "",
                "",
                Problem::NotFound {
                    place: text(),
                    near: None,
                },
                "region eu-central-1",
            ),
            (aws("gone"), "", "", Problem::Deleted, "deleted"),
            (
                staged("token", "AWSPENDING"),
                "",
                "",
                Problem::NoStage { stage: text() },
                "AWSPENDING",
            ),
            (
                aws("token"),
                "AccessDeniedException",
                "User: arn:aws:iam::1:user/ci is not authorized to perform: secretsmanager:DescribeSecret\u{1b}[2J",
                Problem::AccessDenied {
                    action: "",
                    detail: text(),
                },
                "user/ci is not authorized to perform: secretsmanager:DescribeSecret\\u{1b}[2J",
            ),
            (
                aws("token"),
                "AccessDeniedException",
                "Access to KMS is not allowed",
                Problem::KeyDenied { detail: text() },
                "KMS",
            ),
            (aws("token"), "ExpiredTokenException", "", Problem::Expired, "expired"),
            (
                aws("token"),
                "UnrecognizedClientException",
                "",
                Problem::BadCredentials { detail: text() },
                "does not know",
            ),
            (
                aws("token"),
                "InvalidParameterException",
                "odd",
                Problem::Service {
                    code: text(),
                    detail: text(),
                },
                "InvalidParameterException: odd",
            ),
        ] {
            if !code.is_empty() {
                scene.aws.fail("DescribeSecret", None, code, message, 1);
            }
            let Source::Aws { id, .. } = &item.source else {
                unreachable!()
            };
            check(&refused(&stores, &item).await, &format!("aws secret {id}"), &kind, says);
        }
        let error = scene
            .stores()
            .put(&aws("none"), SecretValue::new(b"canary".to_vec()))
            .await
            .unwrap_err();
        check(
            &error,
            "aws secret none",
            &Problem::NotFound {
                place: text(),
                near: None,
            },
            "",
        );
    });
}

#[test]
fn it_gives_up_after_its_last_attempt() {
    scene(
        "refusals::it_gives_up_after_its_last_attempt",
        &KEYS,
        |scene| async move {
            scene.create("token", "canary-value").await;
            scene
                .aws
                .fail("DescribeSecret", None, "ThrottlingException", "Rate exceeded", 99);
            let error = refused(&scene.stores(), &aws("token")).await;
            check(
                &error,
                "aws secret token",
                &Problem::Throttled { attempts: 0 },
                "6 attempts",
            );
            let tries = scene
                .aws
                .calls()
                .iter()
                .filter(|(operation, _)| operation == "DescribeSecret")
                .count();
            assert_eq!(tries, 6);
        },
    );
}

#[test]
fn what_is_wrong_on_our_side() {
    scene("refusals::what_is_wrong_on_our_side", &KEYS, |scene| async move {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let unreachable = scene.stores_with(|aws| aws.endpoint = Some(format!("http://{nobody}")));
        let error = refused(&unreachable, &aws("token")).await;
        check(
            &error,
            "aws secret token",
            &Problem::Unreachable { detail: String::new() },
            "refused",
        );

        let arn = format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:token-Ab12cd");
        let elsewhere = Item {
            source: Source::Aws {
                id: arn,
                stage: None,
                region: Some("us-east-1".to_owned()),
            },
            key: None,
        };
        let wrong = Problem::WrongRegion {
            of_arn: String::new(),
            said: String::new(),
        };
        check(
            &refused(&scene.stores(), &elsewhere).await,
            "aws secret arn:",
            &wrong,
            "us-east-1",
        );

        let nowhere = scene.stores_with(|aws| aws.region = None);
        check(
            &refused(&nowhere, &aws("token")).await,
            "aws secret token",
            &Problem::NoRegion,
            "region",
        );
    });
}

async fn refused_for(scene: Scene, kind: Problem) {
    scene.create("token", "canary-value").await;
    let stores = scene.stores();
    check(&refused(&stores, &aws("token")).await, "aws secret token", &kind, "");
    let wanted = [(aws("token"), provision_secrets::Version::new("x"))].into();
    let values = stores.values(&wanted).await;
    check(
        values[&aws("token")].as_ref().unwrap_err(),
        "aws secret token",
        &kind,
        "",
    );
}

#[test]
fn a_profile_is_used_or_not_there() {
    scene("refusals::a_profile_is_used_or_not_there", &[], |scene| async move {
        scene.create("token", "canary-value").await;
        let with = |name: &str| {
            scene.stores_with(|aws| {
                aws.profile = Some(name.to_owned());
                aws.region = None;
            })
        };
        let file = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".aws/config");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        let keys = r#"{"Version": 1, "AccessKeyId": "FROMPROCESS", "SecretAccessKey": "canary"}"#;
        std::fs::write(file.with_file_name("keys"), keys).unwrap();
        let process = format!("cat {}", file.with_file_name("keys").display());
        let text = format!(
            "[profile ops]\nregion = {REGION}\ncredential_process = {process}\n[profile none]\nregion = {REGION}\n"
        );
        std::fs::write(&file, text).unwrap();
        let found = with("ops").versions(&[aws("token")].into()).await;
        assert!(found[&aws("token")].is_ok(), "{found:?}");
        let error = refused(&with("none"), &aws("token")).await;
        check(
            &error,
            "aws secret token",
            &Problem::NoCredentials { profile: None },
            "\"none\"",
        );
        assert!(error.fix().contains("--profile none"), "{}", error.fix());
        check(
            &refused(&with("nobody"), &aws("token")).await,
            "aws secret token",
            &Problem::NoRegion,
            "region",
        );
    });
}

#[test]
fn nobody_is_logged_in() {
    scene("refusals::nobody_is_logged_in", &[], |scene| {
        refused_for(scene, Problem::NoCredentials { profile: None })
    });
}

#[test]
fn the_session_has_ended() {
    let variables = [KEYS.as_slice(), &[("AWS_SESSION_TOKEN", "ended")]].concat();
    scene("refusals::the_session_has_ended", &variables, |scene| {
        refused_for(scene, Problem::Expired)
    });
}

#[test]
fn the_key_is_unknown() {
    let variables = [("AWS_ACCESS_KEY_ID", "UNKNOWN"), ("AWS_SECRET_ACCESS_KEY", "canary")];
    let unknown = Problem::BadCredentials { detail: String::new() };
    scene("refusals::the_key_is_unknown", &variables, |scene| {
        refused_for(scene, unknown)
    });
}
