//! `provision tunnel HOST UNIT|PORT`: a port of this machine that leads to one of a host. Which one a unit has, its module
//! claims, or the host tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use provision_core::model::{Listener, PortClaim, UnitName};

use super::fleet::{Fleet, options, target};
use super::logs::unit;
use super::records::find;
use crate::cli::args::Tunnel as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, Target, Way};
use crate::events::{Event, Progress};
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::report::{event_json, tunnel};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let (target, (address, port)) = match args.to.parse::<u16>() {
        Ok(0) => return Err(CommandError::refused("there is no port 0").hint("ports are 1 to 65535")),
        Err(_) if args.to.bytes().all(|byte| byte.is_ascii_digit()) => {
            let error = format!("there is no port {}", args.to);
            return Err(CommandError::refused(error).hint("ports are 1 to 65535"));
        }
        // It works though other files are broken.
        Ok(port) => (find(root, &args.host, ui)?, ("127.0.0.1".to_owned(), port)),
        Err(_) => of_unit(root, args, ui, stop).await?,
    };
    let way = Way {
        address,
        port,
        local: args.local,
    };
    let mut view = Some(LookingView::new(ui, 1));
    let mut events = drive::tunnel(target, way.clone(), &options(&args.connect), stop);
    loop {
        match events.recv().await {
            Some(Event::Progress { host, progress }) => match progress {
                Progress::TunnelOpen { local } => {
                    view = None;
                    ui.result(&if ui.json() {
                        tunnel::open_line(&host, local, &way)
                    } else {
                        tunnel::open_text(local, &way)
                    });
                    ui.say(&tunnel::open_words(&host, local, &way));
                }
                Progress::TunnelFailed { problem } => {
                    view = None;
                    ui.warn(&tunnel::failed_words(&problem, ui.talk()));
                }
                progress => {
                    if let Some(view) = &mut view {
                        view.progress(&host, &progress);
                    }
                }
            },
            Some(Event::Finished { host, result }) => {
                drop(view);
                result.map_err(|error| CommandError::tunnel(host.as_str(), error))?;
                if ui.json() {
                    ui.result(&event_json::summary_line(Exit::Done));
                }
                return Ok(Exit::Done);
            }
            // The task of the host died, which cannot be.
            None => return Err(CommandError::interrupted()),
        }
    }
}

/// The host, and the address and port that a unit of it listens on.
async fn of_unit(
    root: Option<&Path>,
    args: &Args,
    ui: &Ui,
    stop: &Stop,
) -> Result<(Target, (String, u16)), CommandError> {
    let unit = unit(&args.to)?;
    let desired = Fleet::load_one(root, &args.host, ui)?;
    let target = target(&desired);
    let claimed = claimed(&desired.ports, &unit);
    if let Some(place) = only(&claimed, &unit, &args.host)? {
        return Ok((target, place));
    }
    let mut events = drive::listening(target.clone(), &options(&args.connect), stop);
    loop {
        match events.recv().await {
            Some(Event::Progress { .. }) => {}
            Some(Event::Finished { host, result }) => {
                let found = result.map_err(|error| CommandError::reach(host.as_str(), &error))?;
                let found = listened(&found, &unit);
                let place = only(&found, &unit, &args.host)?;
                let none = || {
                    CommandError::refused(format!(
                        "{unit} listens on no TCP port of {host}, and no module claims one for it"
                    ))
                    .hint(format!("see whether it runs: provision status {host} -v"))
                    .hint(format!("or name the port: provision tunnel {host} PORT"))
                };
                return Ok((target, place.ok_or_else(none)?));
            }
            None => return Err(CommandError::interrupted()),
        }
    }
}

/// Addresses by port.
type Places = BTreeMap<u16, String>;

/// Ports that are claimed beside a unit. Those that follow from another one count only where there is no other.
fn claimed(claims: &[PortClaim], unit: &UnitName) -> Places {
    let of_unit = claims.iter().filter(|claim| claim.tcp && claim.units.contains(unit));
    let (derived, own): (Vec<_>, Vec<_>) = of_unit.partition(|claim| claim.derived);
    let claims = if own.is_empty() { derived } else { own };
    let place = |claim: &&PortClaim| (claim.port, reachable(claim.address.as_deref()));
    claims.iter().map(place).collect()
}

/// Ports that a unit is found listening on.
fn listened(listeners: &[Listener], unit: &UnitName) -> Places {
    let is_unit = |listener: &&Listener| {
        let of = listener.processes.iter().flat_map(|process| match unit.user() {
            Some(_) => [&None, &process.user_unit],
            None => [&process.unit, &process.user_unit],
        });
        let mut of = of.chain([&listener.socket_unit]).flatten();
        listener.tcp && of.any(|name| name.untrusted() == unit.unit())
    };
    let found = listeners.iter().filter(is_unit);
    found
        .map(|listener| (listener.port, reachable(Some(&listener.address.to_string()))))
        .collect()
}

/// An address that leads to whoever listens on this one: all of them are reached on the host's own.
fn reachable(address: Option<&str>) -> String {
    let address = address.unwrap_or_default();
    match address.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(one) if !one.is_unspecified() => one.to_string(),
        Ok(_) | Err(_) => "127.0.0.1".to_owned(),
    }
}

/// The only place, or none; several are for the user to choose from.
fn only(places: &Places, unit: &UnitName, host: &str) -> Result<Option<(String, u16)>, CommandError> {
    let mut all = places.iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some((port, address)), None) => Ok(Some((address.clone(), *port))),
        _ => {
            let ports: BTreeSet<_> = places.keys().map(ToString::to_string).collect();
            let ports: Vec<_> = ports.into_iter().collect();
            let error = format!("{unit} has several ports: {}", ports.join(", "));
            let hint = format!("name one of them: provision tunnel {host} {}", ports[0]);
            Err(CommandError::refused(error).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use provision_core::model::Process;

    use super::*;

    fn claim(port: u16, derived: bool, address: Option<&str>, units: &[&str]) -> PortClaim {
        PortClaim {
            port,
            tcp: true,
            address: address.map(str::to_owned),
            name: String::new(),
            by: String::new(),
            derived,
            units: units.iter().map(|unit| UnitName::new(*unit).unwrap()).collect(),
        }
    }

    #[test]
    fn a_units_port_is_the_one_that_the_others_follow_from() {
        let unit = UnitName::new("web.service").unwrap();
        let web = &["web.service"][..];
        let claims = [
            claim(80, false, None, &["other.service"]),
            claim(8080, false, Some("0.0.0.0"), web),
            claim(8081, true, None, web),
        ];
        let places = claimed(&claims, &unit);
        assert_eq!(only(&places, &unit, "a").unwrap(), Some(("127.0.0.1".to_owned(), 8080)));
        let bound = claimed(&[claim(443, false, Some("10.0.0.7"), web)], &unit);
        assert_eq!(only(&bound, &unit, "a").unwrap(), Some(("10.0.0.7".to_owned(), 443)));
        let two = claimed(&[claim(80, false, None, web), claim(443, false, None, web)], &unit);
        let error = only(&two, &unit, "a").unwrap_err();
        assert!(error.error.to_string().contains("443, 80"), "{}", error.error);
        assert_eq!(only(&claimed(&claims[..1], &unit), &unit, "a").unwrap(), None);
    }

    #[test]
    fn a_units_port_is_found_by_who_listens() {
        let listener = |port, address: &str, unit: Option<&str>, user_unit: Option<&str>| Listener {
            tcp: true,
            address: address.parse().unwrap(),
            port,
            processes: vec![Process {
                pid: 7,
                name: "x".into(),
                unit: unit.map(Into::into),
                user_unit: user_unit.map(Into::into),
            }],
            socket_unit: None,
        };
        let all = [
            listener(22, "::", Some("ssh.service"), None),
            listener(22, "0.0.0.0", Some("ssh.service"), None),
            listener(3000, "127.0.0.1", Some("user@1000.service"), Some("web.service")),
        ];
        let of = |name: &str| listened(&all, &UnitName::new(name).unwrap());
        assert_eq!(of("ssh.service"), Places::from([(22, "127.0.0.1".to_owned())]));
        assert_eq!(of("web.service"), Places::from([(3000, "127.0.0.1".to_owned())]));
        assert_eq!(of("bot/web.service"), of("web.service"));
        assert!(of("bot/ssh.service").is_empty() && of("no.service").is_empty());
    }
}
