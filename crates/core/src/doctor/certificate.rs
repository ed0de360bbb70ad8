//! Certificates that have expired or are about to, read from their public part.

use x509_cert::Certificate;
use x509_cert::der::DecodePem as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::clock::Trip;
use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::{count, span};
use crate::model::{Blob, Examination, Fact};

const DAY: u64 = 24 * 60 * 60;

/// What is left of a certificate, in seconds, is little where it is less than this and than a quarter of its life: those who
/// renew by themselves do so with a third left.
const LITTLE: u64 = 21 * DAY;

/// With less left than this, in seconds, it is a matter of days, if its life is longer than that of a short-lived one.
const DAYS: u64 = 3 * DAY;
const SHORT_LIVED: u64 = 10 * DAY;

/// What counts of a certificate; times in seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct About {
    names: String,
    from: u64,
    until: u64,
}

pub(super) fn certificates(seen: &Examination, trip: Trip, diagnosis: &mut Diagnosis) {
    let now = trip.received / 1000;
    let mut next: Option<(u64, &str)> = None;
    for why in &seen.unsearched {
        diagnosis.unknown(Check::Certificates, why.untrusted());
    }
    for (path, file) in &seen.certificates {
        let about = match file {
            Fact::Unknown(why) => {
                diagnosis.unknown(Check::Certificates, why.untrusted());
                continue;
            }
            Fact::Known(pem) => match about(pem) {
                Some(about) => about,
                None => {
                    diagnosis.unknown(
                        Check::Certificates,
                        format!("{path}: what it has between a certificate's marks is none"),
                    );
                    continue;
                }
            },
        };
        if next.is_none_or(|(until, _)| about.until < until) {
            next = Some((about.until, path));
        }
        one(path, &about, now, diagnosis);
    }
    let all = count(seen.certificates.len() as u64, "certificate");
    let next = next.map(|(until, path)| match until.checked_sub(now) {
        Some(left) => format!(", the next to expire is {path}, in {}", span(left)),
        None => String::new(),
    });
    diagnosis.saw(Check::Certificates, all + &next.unwrap_or_default());
}

fn one(path: &str, about: &About, now: u64, diagnosis: &mut Diagnosis) {
    let names = &about.names;
    let renew =
        "renew it (`certbot renew`, or as it was made), restart what uses it, and see why nothing renewed it in time";
    let life = about.until.saturating_sub(about.from);
    match about.until.checked_sub(now) {
        _ if about.from > now => {
            let words = format!("of {names}: it will be valid in {}", span(about.from - now));
            let fix = "see whether the host's clock and this machine's are right, or use the one that it is to replace";
            diagnosis.find(Trouble::CertificateNotYetValid, Severity::Problem, path, words, fix);
        }
        None => {
            let words = format!("of {names}: it expired {} ago", span(now - about.until));
            diagnosis.find(Trouble::CertificateExpired, Severity::Problem, path, words, renew);
        }
        Some(left) if left < LITTLE && left < life / 4 => {
            let severity = if left < DAYS && life > SHORT_LIVED {
                Severity::Problem
            } else {
                Severity::Warning
            };
            let words = format!("of {names}: it expires in {}", span(left));
            diagnosis.find(Trouble::CertificateExpiring, severity, path, words, renew);
        }
        Some(_) => {}
    }
}

fn about(pem: &Blob) -> Option<About> {
    let certificate = Certificate::from_pem(pem.bytes()).ok()?;
    let certificate = certificate.tbs_certificate();
    let validity = certificate.validity();
    Some(About {
        names: names(certificate),
        from: validity.not_before.to_unix_duration().as_secs(),
        until: validity.not_after.to_unix_duration().as_secs(),
    })
}

/// The names that it is for, the first few; where it has none, what it calls itself.
fn names(certificate: &x509_cert::TbsCertificate) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = match certificate.get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => {
            let names = names.0.iter().filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(name.to_string()),
                _ => None,
            });
            names.collect()
        }
        Ok(None) | Err(_) => Vec::new(),
    };
    match names.get(SHOWN..) {
        _ if names.is_empty() => certificate.subject().to_string(),
        Some(more @ [_, ..]) => format!("{} and {} more", names[..SHOWN].join(", "), more.len()),
        Some([]) | None => names.join(", "),
    }
}
