//! Policies of AWS IAM: documents in its own language (IAM User Guide, "IAM JSON policy elements reference"). It knows no account.

use std::collections::BTreeSet;

use serde_json::json;

use crate::report::json::document;

/// Who is to have the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Whoever plans: versions, no values.
    Plan,
    /// Whoever applies: both.
    Apply,
    /// A host that fetches its own.
    Host,
}

/// The least that it takes for these secrets, each a name or an ARN, and its region where that is known.
#[must_use]
pub fn policy(secrets: &BTreeSet<(String, Option<String>)>, rights: Rights) -> String {
    let resources: BTreeSet<_> = secrets
        .iter()
        .map(|(id, region)| resource(id, region.as_deref()))
        .collect();
    let actions: &[&str] = match rights {
        Rights::Plan => &["secretsmanager:DescribeSecret"],
        Rights::Apply => &["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        Rights::Host => &["secretsmanager:GetSecretValue"],
    };
    let mut statements = vec![json!({
        "Sid": "ProvisionSecrets",
        "Effect": "Allow",
        "Action": actions,
        "Resource": resources,
    })];
    if rights == Rights::Apply {
        statements.push(json!({
            "Sid": "ProvisionSecretsInBatches",
            "Effect": "Allow",
            "Action": "secretsmanager:BatchGetSecretValue",
            "Resource": "*",
        }));
    }
    document(&json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// A secret's ARN ends in a hyphen and six characters that AWS chooses, so a name stands for any six: with fewer question marks
/// or a star it would be that of other secrets, too.
fn resource(id: &str, region: Option<&str>) -> String {
    if id.starts_with("arn:") {
        return id.to_owned();
    }
    format!("arn:aws:secretsmanager:{}:*:secret:{id}-??????", region.unwrap_or("*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_names_the_secrets_and_nothing_else() {
        let secrets = BTreeSet::from([
            ("bots/friday".to_owned(), Some("eu-central-1".to_owned())),
            ("bots/monday".to_owned(), None),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf".to_owned(),
                None,
            ),
        ]);
        let read = |rights| serde_json::from_str::<serde_json::Value>(&policy(&secrets, rights)).unwrap();
        let apply = read(Rights::Apply);
        assert_eq!(
            apply["Statement"][0]["Resource"],
            json!([
                "arn:aws:secretsmanager:*:*:secret:bots/monday-??????",
                "arn:aws:secretsmanager:eu-central-1:*:secret:bots/friday-??????",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf",
            ])
        );
        assert_eq!(apply["Statement"][1]["Action"], "secretsmanager:BatchGetSecretValue");
        let plan = read(Rights::Plan);
        assert_eq!(plan["Statement"].as_array().unwrap().len(), 1);
        assert_eq!(plan["Statement"][0]["Action"], json!(["secretsmanager:DescribeSecret"]));
        assert_eq!(
            read(Rights::Host)["Statement"][0]["Action"],
            json!(["secretsmanager:GetSecretValue"])
        );
    }
}
