//! Users: who they are and which groups they are in. Passwords and keys are not theirs to say here.

use crate::config::{Code, Diagnostic, Reported, UserName};
use crate::model::{AbsPath, Kind, ResourceId, Spec, UserSpec};

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
    reader.declare(Spec::User(spec), name.span, said?);
    Ok(())
}
