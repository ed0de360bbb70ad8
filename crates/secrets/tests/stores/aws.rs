//! Secrets Manager as it goes well: how often it is asked, and that a value is of the version that was planned.

use std::collections::BTreeMap;

use provision_secrets::{MAX_VALUE_BYTES, Problem, SecretValue, StoreError, Version};

use crate::scene::{KEYS, Scene, aws, key, planned, scene, staged};

fn count(calls: &[(String, usize)], operation: &str) -> usize {
    calls.iter().filter(|(called, _)| called == operation).count()
}

#[test]
fn versions_read_no_value_and_values_are_read_twenty_at_a_time() {
    scene(
        "aws::versions_read_no_value_and_values_are_read_twenty_at_a_time",
        &KEYS,
        |scene| async move {
            for (secrets, batches) in [(20, 1), (45, 3)] {
                let mut items = Vec::new();
                for number in 0..secrets {
                    let name = format!("fleet-{secrets}/{number:02}");
                    scene
                        .create(
                            &name,
                            &format!("{{\"user\": \"u{number}\", \"password\": \"p{number}\"}}"),
                        )
                        .await;
                    // What many hosts use of it costs nothing more: the whole, and two keys.
                    items.extend([aws(&name), key(&aws(&name), "user"), key(&aws(&name), "password")]);
                }
                let before = scene.aws.calls().len();
                let stores = scene.stores();
                let wanted = planned(&stores, items).await;
                let calls = scene.aws.calls().split_off(before);
                assert_eq!(count(&calls, "DescribeSecret"), secrets);
                assert_eq!(calls.len(), secrets, "{calls:?}");

                let before = scene.aws.calls().len();
                let values = stores.values(&wanted).await;
                let calls = scene.aws.calls().split_off(before);
                assert_eq!(count(&calls, "BatchGetSecretValue"), batches);
                assert_eq!(calls.len(), batches, "{calls:?}");
                assert_eq!(values.len(), secrets * 3);
                let last = key(&aws(&format!("fleet-{secrets}/07")), "password");
                assert_eq!(values[&last].as_ref().unwrap().expose(), b"p7");
                assert!(values.values().all(Result::is_ok));
            }
            let (none, nothing) = (BTreeMap::new(), scene.aws.calls().len());
            assert!(scene.stores().values(&none).await.is_empty());
            assert_eq!(scene.aws.calls().len(), nothing);
        },
    );
}

async fn put(scene: &Scene, name: &str, value: &str) -> Version {
    let value = SecretValue::new(value.as_bytes().to_vec());
    scene.stores().put(&aws(name), value).await.unwrap()
}

#[test]
fn a_value_is_of_the_version_that_was_planned() {
    scene(
        "aws::a_value_is_of_the_version_that_was_planned",
        &KEYS,
        |scene| async move {
            let stores = scene.stores();
            let first = scene.create("token", "one").await;
            let item = aws("token");
            let wanted = planned(&stores, [item.clone()]).await;
            assert_eq!(wanted[&item], first);
            let second = put(&scene, "token", "two").await;
            let values = stores.values(&wanted).await;
            let problem = &values[&item].as_ref().unwrap_err().problem;
            assert!(
                matches!(problem, Problem::Moved { planned, now: Some(now) } if *planned == first && *now == second),
                "{problem:?}"
            );

            // The version before has a label of its own, and is read by it.
            let previous = staged("token", "AWSPREVIOUS");
            let both = planned(&stores, [item.clone(), previous.clone()]).await;
            assert_eq!((&both[&item], &both[&previous]), (&second, &first));
            let values = stores.values(&both).await;
            assert_eq!(values[&item].as_ref().unwrap().expose(), b"two");
            assert_eq!(values[&previous].as_ref().unwrap().expose(), b"one");

            // A roll-back of the secret itself: what was planned before it has moved, and the old version is current again.
            let rollback = scene
                .admin()
                .update_secret_version_stage()
                .secret_id("token")
                .version_stage("AWSCURRENT");
            let rollback = rollback
                .remove_from_version_id(second.as_str())
                .move_to_version_id(first.as_str());
            rollback.send().await.unwrap();
            let values = stores.values(&both).await;
            for (item, value) in &values {
                let moved = matches!(value, Err(error) if matches!(error.problem, Problem::Moved { .. }));
                assert!(moved, "{item}: {value:?}");
            }
            let again = stores.values(&wanted).await;
            assert_eq!(again[&item].as_ref().unwrap().expose(), b"one");

            // A version that is not there at all.
            let never = BTreeMap::from([(previous, Version::new("00000000-0000-0000-0000-000000000000"))]);
            let values = stores.values(&never).await;
            let problem = &values.values().next().unwrap().as_ref().unwrap_err().problem;
            assert!(matches!(problem, Problem::Moved { .. }), "{problem:?}");
        },
    );
}

#[test]
fn every_kind_of_value_comes_back_as_it_was_put() {
    scene(
        "aws::every_kind_of_value_comes_back_as_it_was_put",
        &KEYS,
        |scene| async move {
            let largest = vec![b'x'; MAX_VALUE_BYTES];
            let pem = b"-----BEGIN KEY-----\nAbc\n-----END KEY-----\n";
            for (name, bytes) in [
                ("text", &b"caf\xc3\xa9\n"[..]),
                ("binary", b"\0\xff\n\x80"),
                ("pem", pem),
                ("largest", &largest),
            ] {
                scene.create(name, "first").await;
                let stores = scene.stores();
                let version = stores.put(&aws(name), SecretValue::new(bytes.to_vec())).await.unwrap();
                let wanted = planned(&stores, [aws(name)]).await;
                assert_eq!(wanted[&aws(name)], version, "{name}");
                assert_eq!(
                    stores.values(&wanted).await[&aws(name)].as_ref().unwrap().expose(),
                    bytes,
                    "{name}"
                );
            }
            // By its ARN, whose region is the one asked whatever the configuration says.
            let arn = scene
                .admin()
                .describe_secret()
                .secret_id("pem")
                .send()
                .await
                .unwrap()
                .arn
                .unwrap();
            let elsewhere = scene.stores_with(|aws| aws.region = Some("us-east-1".to_owned()));
            for id in [arn.as_str(), arn.rsplit_once('-').unwrap().0] {
                let wanted = planned(&elsewhere, [aws(id)]).await;
                let values = elsewhere.values(&wanted).await;
                assert_eq!(values[&aws(id)].as_ref().unwrap().expose(), pem, "{id}");
            }
        },
    );
}

#[test]
fn one_failure_of_a_batch_is_its_own_alone() {
    scene(
        "aws::one_failure_of_a_batch_is_its_own_alone",
        &KEYS,
        |scene| async move {
            let names: Vec<_> = (0..10).map(|number| format!("s{number}")).collect();
            for name in &names {
                scene.create(name, "{\"a\": \"x\"}").await;
            }
            let stores = scene.stores();
            let mut wanted = planned(&stores, names.iter().map(|name| aws(name))).await;
            wanted.insert(aws("never"), Version::new("v"));
            wanted.insert(key(&aws("s5"), "b"), wanted[&aws("s5")].clone());
            scene.admin().delete_secret().secret_id("s1").send().await.unwrap();
            scene
                .admin()
                .delete_secret()
                .secret_id("s2")
                .force_delete_without_recovery(true)
                .send()
                .await
                .unwrap();
            scene.aws.fail(
                "GetSecretValue",
                Some("s3"),
                "AccessDeniedException",
                "User: arn:x is not authorized",
                1,
            );
            scene
                .aws
                .fail("GetSecretValue", Some("s4"), "DecryptionFailure", "no", 1);
            let values = stores.values(&wanted).await;
            let problem = |id: &str| values[&aws(id)].as_ref().unwrap_err().problem.clone();
            assert!(matches!(problem("s1"), Problem::Deleted), "{:?}", problem("s1"));
            assert!(matches!(problem("s2"), Problem::NotFound { .. }), "{:?}", problem("s2"));
            assert!(matches!(
                problem("s3"),
                Problem::AccessDenied {
                    action: "secretsmanager:GetSecretValue",
                    ..
                }
            ));
            assert!(matches!(problem("s4"), Problem::KeyDenied { .. }));
            assert!(matches!(problem("never"), Problem::NotFound { .. }));
            assert!(matches!(
                values[&key(&aws("s5"), "b")].as_ref().unwrap_err().problem,
                Problem::NoKey { .. }
            ));
            assert_eq!(values.values().filter(|value| value.is_ok()).count(), 6);
        },
    );
}

#[test]
fn it_slows_down_when_asked_to() {
    scene("aws::it_slows_down_when_asked_to", &KEYS, |scene| async move {
        scene.create("token", "one").await;
        let stores = scene.stores();
        scene
            .aws
            .fail("DescribeSecret", None, "ThrottlingException", "Rate exceeded", 2);
        let wanted = planned(&stores, [aws("token")]).await;
        scene
            .aws
            .fail("BatchGetSecretValue", None, "ThrottlingException", "Rate exceeded", 2);
        assert!(stores.values(&wanted).await[&aws("token")].is_ok());
        assert_eq!(count(&scene.aws.calls(), "BatchGetSecretValue"), 3);
    });
}

#[test]
fn a_role_is_assumed_where_one_is_said() {
    let variables = [KEYS.as_slice(), &[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:{}")]].concat();
    scene(
        "aws::a_role_is_assumed_where_one_is_said",
        &variables,
        |scene| async move {
            scene.create("token", "one").await;
            let role = Some("arn:aws:iam::123456789012:role/reader".to_owned());
            let stores = scene.stores_with(|aws| aws.role = role.clone());
            let wanted = planned(&stores, [aws("token")]).await;
            let before = scene.aws.keys().len();
            assert_eq!(
                stores.values(&wanted).await[&aws("token")].as_ref().unwrap().expose(),
                b"one"
            );
            let calls = scene.aws.keys();
            // Whoever asks is known only for becoming the role; all reads are the role's.
            let given: Vec<_> = calls
                .iter()
                .filter(|(operation, ..)| operation == "AssumeRole")
                .collect();
            let [(_, asked, Some(role_key))] = given[..] else {
                panic!("it is assumed once: {calls:?}")
            };
            assert_eq!(asked, "KNOWN");
            assert_ne!(role_key, "KNOWN");
            let reads = calls
                .iter()
                .filter(|(operation, ..)| operation.ends_with("Secret") && operation != "CreateSecret");
            let reads: Vec<_> = reads
                .chain(&calls[before..])
                .map(|(operation, key, _)| (operation.as_str(), key))
                .collect();
            assert_eq!(reads, [("DescribeSecret", role_key), ("BatchGetSecretValue", role_key)]);
            scene.aws.fail(
                "AssumeRole",
                None,
                "AccessDenied",
                "User: arn:x is not authorized to perform: sts:AssumeRole",
                9,
            );
            let stores = scene.stores_with(|aws| aws.role = role);
            let refused = stores.versions(&[aws("token")].into()).await;
            let problem = &refused[&aws("token")].as_ref().unwrap_err().problem;
            assert!(
                matches!(problem, Problem::UnusableCredentials { detail } if detail.contains("sts:AssumeRole")),
                "{problem:?}"
            );
        },
    );
}

#[test]
fn region_and_endpoint_of_the_project_come_before_those_of_the_environment() {
    let environment = [("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:{}")];
    let variables = [KEYS.as_slice(), &environment].concat();
    scene(
        "aws::region_and_endpoint_of_the_project_come_before_those_of_the_environment",
        &variables,
        |scene| async move {
            scene.create("token", "one").await;
            let problem = |found: BTreeMap<_, Result<Version, StoreError>>| found[&aws("token")].clone().unwrap_err();
            let wanted = &[aws("token")].into();

            // Nothing is said: the environment's endpoint answers, in the environment's region, which has no such secret.
            let silent = scene.stores_with(|aws| (aws.region, aws.endpoint) = (None, None));
            let error = problem(silent.versions(wanted).await);
            assert!(error.to_string().contains("us-east-1"), "{error}");
            // The project says the region, then the place.
            let region = scene.stores_with(|aws| aws.endpoint = None);
            assert!(region.versions(wanted).await[&aws("token")].is_ok());
            let nobody = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let endpoint = scene.stores_with(|aws| aws.endpoint = Some(format!("http://{nobody}")));
            let error = problem(endpoint.versions(wanted).await);
            assert!(matches!(error.problem, Problem::Unreachable { .. }), "{error:?}");
        },
    );
}
