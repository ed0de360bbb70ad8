//! What AWS, its SDK and the network say no with, as problems. Codes decide, and texts only where one code means several things.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use super::Region;
use super::client::{ATTEMPTS, DEADLINE};
use crate::error::Problem;
use crate::escape::excerpt;

/// Why a call failed. `action` is the right it needs.
pub(super) fn problem<E, R>(error: &SdkError<E, R>, action: &'static str, region: &Region) -> Problem
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let Some(credentials) = find::<CredentialsError>(error) {
        return of_credentials(credentials, region);
    }
    match error {
        SdkError::ServiceError(service) => {
            let error = service.err();
            of_code(
                error.code().unwrap_or(""),
                error.message().unwrap_or(""),
                action,
                region,
            )
        }
        SdkError::TimeoutError(_) => Problem::TimedOut { limit: DEADLINE },
        SdkError::DispatchFailure(_) => Problem::Unreachable { detail: deepest(error) },
        _ => Problem::Service {
            code: "an answer that cannot be read".to_owned(),
            detail: deepest(error),
        },
    }
}

/// What an error code of Secrets Manager, STS or a batch's `Errors[]` means.
pub(super) fn of_code(code: &str, message: &str, action: &'static str, region: &Region) -> Problem {
    let says = |words: &[&str]| words.iter().any(|word| message.to_lowercase().contains(word));
    let detail = excerpt(message.as_bytes());
    // A code may come with the name space of its service before it.
    let code = code.rsplit('#').next().unwrap_or(code);
    match code {
        "ResourceNotFoundException" => Problem::NotFound {
            place: format!("region {}", region.name),
            near: None,
        },
        "InvalidRequestException" if says(&["deleted", "deletion"]) => Problem::Deleted,
        "AccessDeniedException" | "AccessDenied" if says(&["kms"]) => Problem::KeyDenied { detail },
        "AccessDeniedException" | "AccessDenied" => Problem::AccessDenied { action, detail },
        "DecryptionFailure" | "EncryptionFailure" => Problem::KeyDenied { detail },
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => Problem::Expired,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException" => Problem::BadCredentials { detail },
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            Problem::Throttled { attempts: ATTEMPTS }
        }
        _ => Problem::Service {
            code: excerpt(code.as_bytes()),
            detail,
        },
    }
}

fn of_credentials(error: &CredentialsError, region: &Region) -> Problem {
    let detail = deepest(error);
    // The provider of SSO sessions has no type for this.
    let lower = all(error).to_lowercase();
    match error {
        _ if lower.contains("expired") => Problem::Expired,
        CredentialsError::CredentialsNotLoaded(_) => Problem::NoCredentials {
            profile: region.profile.clone(),
        },
        CredentialsError::ProviderTimedOut(_) => Problem::UnusableCredentials {
            detail: "they could not be got in time".to_owned(),
        },
        _ => Problem::UnusableCredentials { detail },
    }
}

/// The first cause of a type.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What the innermost cause says: the outer ones of the SDK only name layers.
fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    excerpt(deepest.to_string().as_bytes())
}

/// What all causes say.
fn all(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text += &error.to_string();
        text.push('\n');
        next = error.source();
    }
    text
}
