//! Timers: a timer unit that is enabled and runs, and the service that it starts. When systemd really starts it is
//! systemd's business.

use crate::config::{Code, Diagnostic, Reported, Spanned, UserName};
use crate::model::{Millis, Spec, UnitName};

use super::super::kind::UNIT_DIRECTORY;
use super::super::reader::Reader;
use super::{HEADER, file, one_line, running, text};

/// A program on a timer that runs longer than this has hung.
const TIMEOUT: Millis = Millis::seconds(3600);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let run = reader.list::<String>("run");
    let unit = reader.optional::<UnitName>("unit");
    let times = times(reader);
    let user = reader.optional::<UserName>("user");
    let timeout = reader.optional::<Millis>("timeout");
    let said = reader.said();
    let (run, times, user, timeout) = (run?, times?, user?, timeout?);
    let own = &name.value;
    let starts = match unit? {
        Some(unit) => unit.value.to_string(),
        None => {
            // The timer says how often: systemd's own limit, five starts in ten seconds, would end what is due each second.
            let mut service = format!(
                "{HEADER}[Unit]\nDescription={own}, started by its timer\nStartLimitIntervalSec=0\n\n[Service]\nType=oneshot\n"
            );
            if let Some(user) = user {
                service += &format!("User={}\n", user.value.0);
            }
            let timeout = timeout.map_or(TIMEOUT, |timeout| timeout.value);
            service += &format!("TimeoutStartSec={timeout}\nExecStart={}\n", exec(reader, &run)?);
            let content = text(reader, service);
            let service = file(format!("{UNIT_DIRECTORY}/{own}.service"), content)?;
            reader.declare(Spec::File(service), name.span, Vec::new());
            format!("{own}.service")
        }
    };
    let timer = format!(
        "{HEADER}[Unit]\nDescription={own}\n\n[Timer]\nUnit={starts}\n{times}\n[Install]\nWantedBy=timers.target\n"
    );
    let content = text(reader, timer);
    let timer = file(format!("{UNIT_DIRECTORY}/{own}.timer"), content)?;
    reader.declare(Spec::File(timer), name.span, Vec::new());
    reader.declare(running(&format!("{own}.timer"))?, name.span, said?);
    Ok(())
}

fn times(reader: &mut Reader<'_, '_, '_>) -> Result<String, Reported> {
    let calendar = reader.optional::<String>("calendar")?;
    let every = reader.optional::<Millis>("every")?;
    let after_boot = reader.optional::<Millis>("after_boot")?;
    let delay = reader.optional::<Millis>("random_delay")?;
    let mut times = String::new();
    if let Some(calendar) = &calendar {
        one_line(reader, calendar)?;
        times += &format!("OnCalendar={}\nPersistent=yes\n", calendar.value.trim());
    }
    if let Some(every) = &every {
        // The first time counts from when the timer itself was started, or it would never come.
        let every = every.value;
        times += &format!("OnActiveSec={every}\nOnUnitActiveSec={every}\n");
    }
    if let Some(after_boot) = &after_boot {
        times += &format!("OnBootSec={}\n", after_boot.value);
    }
    if times.is_empty() {
        let span = reader.declaration.name.span;
        let message = "nothing says when this timer is due";
        let diagnostic = Diagnostic::error(Code::MissingKey, message, span, "none of its times is here");
        return Err(
            reader.report(diagnostic.help("write calendar = \"daily\", every = \"5min\" or after_boot = \"2min\""))
        );
    }
    if let Some(delay) = delay {
        times += &format!("RandomizedDelaySec={}\n", delay.value);
    }
    Ok(times)
}

/// A program and its arguments as ExecStart= takes them, each as it is (systemd.service(5), COMMAND LINES).
fn exec(reader: &mut Reader<'_, '_, '_>, words: &[Spanned<String>]) -> Result<String, Reported> {
    let program = words.first().ok_or(Reported)?;
    if !program.value.starts_with('/') {
        let message = format!("`{}` is not an absolute path", crate::config::shown(&program.value));
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, program.span, "");
        return Err(reader.report(diagnostic.help("write where the program lies: \"/usr/bin/…\"")));
    }
    let mut line = Vec::new();
    for word in words {
        if word.value.chars().any(char::is_control) {
            let message = "a control character cannot stand in a timer's command";
            return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, word.span, "")));
        }
        line.push(quoted(&word.value));
    }
    Ok(line.join(" "))
}

fn quoted(word: &str) -> String {
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | ',' | ':' | '=' | '+' | '@');
    if !escaped.is_empty() && escaped.chars().all(plain) {
        escaped
    } else {
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for (word, line) in [
            ("/usr/bin/a", "/usr/bin/a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("100%", "\"100%%\""),
            ("$HOME", "\"$$HOME\""),
            ("say \"x\\n\"", "\"say \\\"x\\\\n\\\"\""),
            (";", "\";\""),
        ] {
            assert_eq!(quoted(word), line, "{word}");
        }
    }
}
