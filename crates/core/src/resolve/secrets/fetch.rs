//! Secrets that a host fetches by itself when it starts: where in AWS each is, said in full, so that the host finds what an apply
//! delivers. What is nowhere in AWS is refused; nobody is asked whether it is there.

use std::collections::BTreeMap;

use super::{Draft, DraftContent, Given};
use crate::config::{Code, Diagnostic, Host, ProjectStores};
use crate::model::{Machine, SecretSource};

/// What the boot unit waits for, in its `[Unit]`. The program waits longer: a network that is up may not lead far yet.
pub(super) const NETWORK: &str = "Wants=network-online.target\nAfter=network-online.target\n";

/// How long the boot unit may take, in its `[Service]`: the program tries for five minutes, and an answer may be on its way.
pub(super) const TIME: &str = "TimeoutStartSec=7min\n";

/// Says of each secret where in AWS it is, and refuses those that are elsewhere.
pub(super) fn settle(
    drafts: &mut BTreeMap<String, Draft>,
    host: &Host,
    stores: &ProjectStores,
    found: &mut Vec<Diagnostic>,
) {
    let of_machine = match &host.machine {
        Some(Machine::Aws { region, .. }) => Some(region),
        _ => None,
    };
    let usual = stores.region.as_ref().or(of_machine);
    for (name, draft) in drafts {
        let Some(item) = draft.item(name) else { continue };
        let source = match item.source {
            SecretSource::Project { name } => stores.aws_prefix.as_ref().map(|prefix| SecretSource::Aws {
                id: format!("{prefix}{name}"),
                stage: None,
                region: usual.cloned(),
            }),
            // An ARN says its region itself.
            SecretSource::Aws { id, stage, region } => {
                let region = region.or_else(|| usual.filter(|_| !id.starts_with("arn:")).cloned());
                Some(SecretSource::Aws { id, stage, region })
            }
            SecretSource::Age { .. } | SecretSource::Command { .. } | SecretSource::Environment { .. } => None,
        };
        let Some(source) = source else {
            found.push(elsewhere(name, draft, host));
            continue;
        };
        match &mut draft.content {
            Some(said) => said.value = DraftContent::Kept(source),
            said @ None => *said = Some(Given::implied(DraftContent::Kept(source), draft.span)),
        }
    }
}

fn elsewhere(name: &str, draft: &Draft, host: &Host) -> Diagnostic {
    let (span, label) = match &draft.content {
        Some(said) => (said.span, ""),
        None => (
            draft.span,
            "it is where `secrets/stores.toml` says, and that is not AWS",
        ),
    };
    let message = format!("the host cannot fetch the secret `{name}` when it starts");
    let diagnostic = Diagnostic::error(Code::CannotFetch, message, span, label);
    let diagnostic = match &host.secrets.after_reboot {
        Some(said) => diagnostic.also(said.span, "it is to fetch them"),
        None => diagnostic,
    };
    diagnostic
        .because("it gets them from AWS Secrets Manager, and reaches no other store")
        .help(format!(
            "keep it there: aws = \"{name}\"; or write secrets_after_reboot = \"sealed\", which keeps an encrypted copy on the host"
        ))
}
