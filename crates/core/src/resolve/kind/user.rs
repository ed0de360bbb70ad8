//! Users: who they are and which groups they are in. Passwords are not theirs to say here.

use crate::config::{Code, Diagnostic, PublicKey, Reported, Span, Spanned, UserName};
use crate::model::{AbsPath, BlockSpec, DirectorySpec, Kind, Mode, ResourceId, Spec, UserSpec};

use super::super::reader::Reader;
use super::file::path;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let uid = reader.optional::<u32>("uid");
    let group = reader.optional::<UserName>("group");
    let groups = reader.list::<UserName>("groups");
    let home = reader.optional::<AbsPath>("home");
    let create_home = reader.optional::<bool>("create_home");
    let shell = reader.optional::<AbsPath>("shell");
    let comment = reader.optional::<String>("comment");
    let system = reader.optional::<bool>("system");
    let keys = reader.list::<PublicKey>("authorized_keys");
    let said = reader.said();
    let comment = comment?;
    if let Some(comment) = comment
        .as_ref()
        .filter(|comment| comment.value.contains([':', '\n', ',', '\0']))
    {
        // passwd(5) separates its fields by colons and GECOS its own by commas.
        let message = "a user's comment can hold no \":\", no \",\" and no line feed";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, comment.span, "")));
    }
    let system = system?.is_some_and(|system| system.value);
    // A managed group of the user's own name is the primary one: useradd would refuse to make it again.
    let own = ResourceId::new(Kind::Group, name.value.as_str());
    let own = reader
        .declarations
        .resources
        .contains_key(&own)
        .then(|| name.value.clone());
    let spec = UserSpec {
        uid: uid?.map(|uid| uid.value),
        group: group?.map(|group| group.value.0).or(own),
        groups: groups?.into_iter().map(|group| group.value.0).collect(),
        home: path(home?),
        create_home: create_home?.map_or(!system, |create| create.value),
        shell: path(shell?),
        comment: comment.map(|comment| comment.value),
        system,
        name: name.value,
    };
    let keys = keys?;
    if !keys.is_empty() {
        authorized_keys(reader, &spec, &keys)?;
    }
    reader.declare(Spec::User(spec), name.span, said?);
    Ok(())
}

/// The directory and the lines that let the user log in, with the permissions that sshd demands (StrictModes).
fn authorized_keys(
    reader: &mut Reader<'_, '_, '_>,
    user: &UserSpec,
    keys: &[Spanned<PublicKey>],
) -> Result<(), Reported> {
    let span: Span = reader.key("authorized_keys");
    let home = match &user.home {
        Some(home) => home.to_string(),
        None if user.name == "root" => "/root".to_owned(),
        None => {
            let message = format!("`authorized_keys` of `{}` needs its home directory", user.name);
            let diagnostic = Diagnostic::error(Code::MissingKey, message, span, "sshd reads them from there");
            let help = format!("write home = \"/home/{}\"", user.name);
            return Err(reader.report(diagnostic.help(help)));
        }
    };
    let below = |name: &str| AbsPath::new(format!("{home}/{name}")).map_err(|_| Reported);
    let group = user.group.clone().unwrap_or_else(|| user.name.clone());
    let directory = DirectorySpec {
        path: below(".ssh")?,
        owner: user.name.clone(),
        group: group.clone(),
        mode: Mode::from_bits(0o700),
    };
    let lines = keys.iter().map(|key| format!("{}\n", key.value.0.trim()));
    let block = BlockSpec {
        path: below(".ssh/authorized_keys")?,
        name: "keys".to_owned(),
        text: lines.collect(),
        comment: "#".to_owned(),
        owner: Some(user.name.clone()),
        group: Some(group),
        mode: Some(Mode::from_bits(0o600)),
    };
    reader.declare(Spec::Directory(directory), span, Vec::new());
    reader.declare(Spec::Block(block), span, Vec::new());
    Ok(())
}
