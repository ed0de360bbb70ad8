//! Git checkouts: where from, what of it, and whose. Nothing is fetched here, and no commit is looked for.

use crate::config::{Code, Diagnostic, Reported, Spanned, UserName, shown};
use crate::model::{AbsPath, GitSpec, GitUpdate, Revision, Spec};

use super::super::reader::Reader;
use super::file::path;

/// What a path that stands in `ssh`'s command may be made of: git gives it to a shell.
const PLAIN: &[u8] = b"/._-+@";

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let url = reader.required::<String>("url");
    let commit = reader.optional::<String>("commit");
    let branch = reader.optional::<String>("branch");
    let owner = reader.optional::<UserName>("owner");
    let update = reader.optional::<String>("update");
    let key = reader.optional::<AbsPath>("key");
    let known_hosts = reader.optional::<AbsPath>("known_hosts");
    let said = reader.said();
    let url = url.and_then(|url| check_url(reader, url));
    let revision = match (commit?, branch?) {
        (Some(commit), _) => is_commit(&commit.value)
            .then(|| Revision::Commit(commit.value.clone()))
            .ok_or_else(|| {
                let message = "a commit is named by its 40 (or 64) hexadecimal digits, in small letters";
                let diagnostic = Diagnostic::error(Code::InvalidValue, message, commit.span, "");
                let why = "a shorter name may come to mean another commit, and a tag can be moved";
                let help = "take it from `git rev-parse TAG^{commit}`; to follow a branch, write `branch`";
                reader.report(diagnostic.because(why).help(help))
            }),
        (None, Some(branch)) => is_branch(&branch.value)
            .then(|| Revision::Branch(branch.value.clone()))
            .ok_or_else(|| {
                let message = format!("`{}` cannot be a branch's name", shown(&branch.value));
                reader.report(Diagnostic::error(Code::InvalidValue, message, branch.span, ""))
            }),
        // That neither is written was found when the file was read.
        (None, None) => Err(Reported),
    };
    let update = match update? {
        None => Ok(GitUpdate::Clone),
        Some(word) => match word.value.as_str() {
            "clone" => Ok(GitUpdate::Clone),
            "mirror" => Ok(GitUpdate::Mirror),
            _ => {
                let message = "a checkout is only cloned, or it is a mirror";
                let diagnostic = Diagnostic::error(Code::InvalidValue, message, word.span, "");
                Err(reader.report(diagnostic.help("write \"clone\" or \"mirror\"")))
            }
        },
    };
    let (key, known_hosts) = (key?, known_hosts?);
    let (url, revision, update) = (url?, revision?, update?);
    let spec = GitSpec {
        path: AbsPath::new(name.value).map_err(|_| Reported)?,
        url,
        revision,
        owner: owner?.map_or_else(|| "root".to_owned(), |owner| owner.value.0),
        update,
        key: path(key.clone()),
        known_hosts: path(known_hosts.clone()),
    };
    for (field, said) in [("key", &key), ("known_hosts", &known_hosts)] {
        let Some(said) = said else { continue };
        if !spec.is_over_ssh() {
            let message = format!("`{field}` is for ssh, and this URL is not fetched by it");
            let diagnostic = Diagnostic::error(Code::ConflictingKeys, message, said.span, "");
            return Err(reader.report(diagnostic.help("write a URL such as ssh://git@example.org/app.git")));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || PLAIN.contains(&b);
        if !said.value.as_str().bytes().all(plain) {
            let message = "this path has letters that git's way of starting ssh does not keep as they are";
            return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, said.span, "")));
        }
    }
    reader.declare(Spec::Git(spec), name.span, said?);
    Ok(())
}

fn is_commit(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The names that git-check-ref-format(1) lets a branch have, but for those that only git itself could like.
fn is_branch(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b'#' | b'@');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.len() <= 200
        && name.bytes().all(letter)
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && name != "@"
        && name.split('/').all(part)
}

/// A URL that git may be given: it cannot be taken for an option or another program, nobody on the way can put something else
/// in its place, and no secret is in it.
fn check_url(reader: &mut Reader<'_, '_, '_>, url: Spanned<String>) -> Result<String, Reported> {
    let text = url.value.as_str();
    let refused = |message: String, why: &'static str, help: &'static str| {
        Diagnostic::error(Code::InvalidValue, message, url.span, "")
            .because(why)
            .help(help)
    };
    let kinds = "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or a path on the host";
    let odd = text.bytes().any(|b| b.is_ascii_control() || b == b' ');
    let diagnostic = if text.is_empty() || odd || text.starts_with('-') {
        refused(
            "this is no URL that git could fetch".to_owned(),
            "it would be taken for something else",
            kinds,
        )
    } else if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let user = host.rsplit_once('@').map(|(user, _)| user);
        match (scheme, user) {
            ("https", Some(_)) => refused(
                "a user or a token stands in this URL".to_owned(),
                "the URL is shown in plans and kept in the checkout, and whatever opens the door to the repository is a secret",
                "fetch by ssh, with a deploy key that is a secret: `key = \"/run/secrets/NAME\"`",
            ),
            ("ssh", Some(user)) if user.contains(':') => refused(
                "a password stands in this URL".to_owned(),
                "the URL is shown in plans and kept in the checkout",
                "use a deploy key that is a secret: `key = \"/run/secrets/NAME\"`",
            ),
            ("https" | "ssh", _) if host.is_empty() => {
                refused("this URL names no host".to_owned(), "git fetches from one", kinds)
            }
            ("ssh", _) if host.starts_with('-') => refused(
                "this host's name would be an option".to_owned(),
                "ssh would take it for one",
                kinds,
            ),
            ("https" | "ssh", _) => return Ok(url.value),
            ("file", _) if rest.starts_with('/') => return Ok(url.value),
            ("http" | "git", _) => refused(
                format!("nothing that {scheme}:// brings can be trusted"),
                "anybody on the way can put other code in its place, and a branch would bring it",
                "write https:// or ssh://",
            ),
            _ => refused(
                format!("git is given no `{}` URL", shown(scheme)),
                "git starts other programs for those that it does not know",
                kinds,
            ),
        }
    } else if text.starts_with('/') || is_scp(text) {
        return Ok(url.value);
    } else {
        refused(
            "this is no URL that git could fetch".to_owned(),
            "it would be looked for below the agent's own directory",
            kinds,
        )
    };
    Err(reader.report(diagnostic))
}

/// Such as `git@example.org:owner/app.git`.
fn is_scp(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else {
        return false;
    };
    let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    !path.is_empty()
        && !path.starts_with([':', '-'])
        && !name.is_empty()
        && !name.starts_with('-')
        && host.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::{is_branch, is_scp};

    #[test]
    fn names_that_git_would_read_as_something_else_are_none() {
        for name in ["main", "release/1.2", "fix#3", "a@b", "v1+x"] {
            assert!(is_branch(name), "{name}");
        }
        for name in [
            "", "-x", "a..b", "a/", "/a", "a//b", ".a", "a/.b", "a.lock", "@", "a b", "a~1", "a^", "a:b", "a.",
        ] {
            assert!(!is_branch(name), "{name}");
        }
        for url in ["git@example.org:owner/app.git", "example.org:app"] {
            assert!(is_scp(url), "{url}");
        }
        for url in [
            "app",
            "-oProxyCommand=x:y",
            "git@-x:y",
            "ext::sh -c x",
            "a b:c",
            "host:",
        ] {
            assert!(!is_scp(url), "{url}");
        }
    }
}
