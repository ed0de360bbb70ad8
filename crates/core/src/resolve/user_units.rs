//! Units of users' own managers: where their files lie, the directories that those need, and what such a unit cannot do
//! without. What a unit is declared to be is [`super::kind`]'s.

use crate::config::{Code, Diagnostic, Span};
use crate::model::{
    AbsPath, DependencyReason, DirectorySpec, Kind, Mode, OnRemoval, ResourceId, Spec, Switch, SwitchSpec, UnitName,
    UserSpec,
};

use super::declared::Declarations;
use super::kind::UNIT_DIRECTORY;

/// Where a user's own units lie below the home directory (systemd.unit(5), the user manager's load path).
pub(super) const BELOW_HOME: &str = ".config/systemd/user";

/// Where the administrator's units for the managers of all users lie.
pub(super) const OF_ALL_USERS: &str = "/etc/systemd/user";

/// The home directory that a user is declared to have.
pub(super) fn home<'a>(user: &str, declarations: &'a Declarations) -> Option<&'a AbsPath> {
    match &declarations.resources.get(&ResourceId::new(Kind::User, user))?.spec {
        Spec::User(user) => user.home.as_ref(),
        _ => None,
    }
}

/// Where the files of a unit lie; `None` where that is below a home directory that nobody has said.
pub(super) fn directory(unit: &UnitName, declarations: &Declarations) -> Option<String> {
    match unit.user() {
        None => Some(UNIT_DIRECTORY.to_owned()),
        Some(user) => Some(format!("{}/{BELOW_HOME}", home(user, declarations)?)),
    }
}

/// Whether a file at this path is a unit's text or a drop-in of one.
pub(super) fn is_unit_file(path: &str) -> bool {
    path.starts_with(UNIT_DIRECTORY) || path.contains(&format!("/{BELOW_HOME}/"))
}

/// The unit that a file at this path is the text, or a drop-in, of.
pub(super) fn unit_of(path: &str, declarations: &Declarations) -> Option<UnitName> {
    let unit = |file: &str| file.split_once(".d/").map_or(file, |(unit, _)| unit).to_owned();
    if let Some(file) = path.strip_prefix(UNIT_DIRECTORY) {
        return UnitName::new(unit(file.strip_prefix('/')?)).ok();
    }
    let (above, file) = path.split_once(&format!("/{BELOW_HOME}/"))?;
    let user = declarations
        .resources
        .values()
        .find_map(|declared| match &declared.spec {
            Spec::User(user) if user.home.as_ref().is_some_and(|home| home.as_str() == above) => Some(&user.name),
            _ => None,
        })?;
    UnitName::new(format!("{user}/{}", unit(file))).ok()
}

/// A unit's text with the specifier of the home directory resolved (systemd.unit(5), SPECIFIERS), as far as that is known.
pub(super) fn with_home(text: &str, unit: &UnitName, declarations: &Declarations) -> String {
    match unit.user().and_then(|user| home(user, declarations)) {
        Some(home) => text.replace("%h", home.as_str()),
        None => text.to_owned(),
    }
}

/// A unit whose files have no place yet.
pub(super) fn homeless(unit: &UnitName, user: &str, span: Span) -> Diagnostic {
    let message = format!("where `{unit}` would lie is not known");
    Diagnostic::error(Code::UserUnit, message, span, "a unit of this user")
        .because(format!(
            "its file lies below the home directory, and this host does not say which that of `{user}` is"
        ))
        .help(format!("say it: [users.{user}] home = \"/home/{user}\""))
}

/// The system's unit that is a user's manager. It is named by number, so only a declared one is known.
pub(super) fn manager(
    unit: &UnitName,
    user: &str,
    span: Span,
    declarations: &Declarations,
    found: &mut Vec<Diagnostic>,
) -> Option<UnitName> {
    let spec = declarations.resources.get(&ResourceId::new(Kind::User, user));
    if let Some(Spec::User(UserSpec { uid: Some(uid), .. })) = spec.map(|declared| &declared.spec) {
        return UnitName::new(format!("user@{uid}.service")).ok();
    }
    let message = format!("`{unit}` uses a secret, and cannot wait for it at boot");
    let diagnostic = Diagnostic::error(Code::UserUnit, message, span, "used by a unit of this user");
    found.push(
        diagnostic
            .because(format!(
                "with `secrets_after_reboot` secrets come back after the host has started, so the manager of `{user}` has to \
                 wait for them, and systemd knows it by the number of the user"
            ))
            .help(format!("say the number: [users.{user}] uid = 1500")),
    );
    None
}

/// Declares the directories that users' units lie in, where the configuration does not: each belongs to its user.
pub(super) fn directories(declarations: &mut Declarations, found: &mut Vec<Diagnostic>) {
    let mut missing = Vec::new();
    for (id, declared) in &declarations.resources {
        if !matches!(declared.spec, Spec::File(_) | Spec::Symlink(_)) {
            continue;
        }
        let Some(user) = unit_of(&id.name, declarations).and_then(|unit| unit.user().map(str::to_owned)) else {
            continue;
        };
        let Some(home) = home(&user, declarations) else {
            continue;
        };
        let (Ok(path), prefix) = (AbsPath::new(id.name.as_str()), format!("{home}/")) else {
            continue;
        };
        let group = super::kind::group_of(&user, declarations);
        missing.extend(path.ancestors().filter_map(|above| {
            let is_below = above.as_str().starts_with(&prefix);
            let is_said = declarations
                .resources
                .keys()
                .any(|id| id.kind.lies_at_path() && id.name == above.as_str());
            (is_below && !is_said).then(|| (above, user.clone(), group.clone(), declared.span))
        }));
    }
    for (path, owner, group, span) in missing {
        // The directory of all of a user's settings is the user's alone (XDG Base Directory Specification).
        let mode = Mode::from_bits(if path.file_name() == ".config" { 0o700 } else { 0o755 });
        let spec = Spec::Directory(DirectorySpec {
            path,
            owner,
            group,
            mode,
        });
        if !declarations.resources.contains_key(&spec.id()) {
            declarations.declare_with(spec, OnRemoval::default(), span, Vec::new(), found);
        }
    }
}

/// Reports units of users whose manager does not run: it would start with a login and end with it.
pub(super) fn lingering(declarations: &Declarations, found: &mut Vec<Diagnostic>) {
    for (id, declared) in &declarations.resources {
        let Spec::Unit(unit) = &declared.spec else { continue };
        let Some(user) = unit.name.user() else { continue };
        let linger = declarations.resources.get(&ResourceId::new(Kind::Linger, user));
        let said = linger.and_then(|linger| match &linger.spec {
            Spec::Switch(SwitchSpec {
                switch: Switch::Linger,
                on,
                ..
            }) => Some((*on, linger.span)),
            _ => None,
        });
        let message = format!("`{id}` is a unit of a user who does not linger");
        let diagnostic = Diagnostic::error(Code::UserUnit, message, declared.span, "a unit of this user");
        let diagnostic = match said {
            Some((true, _)) => continue,
            Some((false, span)) => diagnostic.also(span, "who is said not to linger here"),
            None => diagnostic,
        };
        found.push(
            diagnostic
                .because(
                    "the manager of a user runs only while the user is logged in, unless the user lingers: the unit would not \
                     start at boot, and would end with the last session",
                )
                .help(format!("let the user linger: add `{user} = true` to [linger]")),
        );
    }
}

/// What a user's unit waits for beside its files.
pub(super) fn waits_for(user: &str) -> [(ResourceId, DependencyReason); 2] {
    [
        (ResourceId::new(Kind::User, user), DependencyReason::OwnedBy),
        (ResourceId::new(Kind::Linger, user), DependencyReason::After),
    ]
}
