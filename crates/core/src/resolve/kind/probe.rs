//! Probes: what must answer, and how long that may take. Nothing is asked here.

use crate::config::{Code, Diagnostic, HttpUrl, Reported, TcpAddress};
use crate::model::{Check, Millis, ProbeSpec, Spec, UnitName};

use super::super::reader::Reader;

/// A service that is not up after half a minute needs to say so.
const TIMEOUT: Millis = Millis::seconds(30);
const INTERVAL: Millis = Millis::seconds(1);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let check = check(reader);
    let timeout = reader.optional::<Millis>("timeout");
    let interval = reader.optional::<Millis>("interval");
    let threshold = reader.optional::<u32>("threshold");
    let said = reader.said();
    let threshold = threshold?;
    if let Some(threshold) = threshold.as_ref().filter(|threshold| threshold.value == 0) {
        let message = "a probe needs at least one success";
        return Err(reader.report(Diagnostic::error(
            Code::InvalidValue,
            message,
            threshold.span,
            "write 1",
        )));
    }
    let (timeout_at, interval_at) = (reader.key("timeout"), reader.key("interval"));
    let spec = ProbeSpec {
        name: name.value,
        check: check?,
        timeout: timeout?.map_or(TIMEOUT, |timeout| timeout.value),
        interval: interval?.map_or(INTERVAL, |interval| interval.value),
        threshold: threshold.map_or(1, |threshold| threshold.value),
    };
    let waits = u64::from(spec.threshold - 1).saturating_mul(spec.interval.0);
    if spec.timeout.0 == 0 || waits > spec.timeout.0 {
        let message = format!(
            "the probe can never pass: {} tries, {} apart, do not fit into {}",
            spec.threshold, spec.interval, spec.timeout
        );
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, timeout_at, "");
        return Err(reader.report(diagnostic.also(interval_at, "").help("raise `timeout`")));
    }
    reader.declare(Spec::Probe(spec), name.span, said?);
    Ok(())
}

fn check(reader: &mut Reader<'_, '_, '_>) -> Result<Check, Reported> {
    if let Some(url) = reader.optional::<HttpUrl>("http")? {
        let status = reader.optional::<u16>("status")?;
        let body = reader.optional::<String>("body")?;
        if let Some(status) = status.as_ref().filter(|status| !(100..600).contains(&status.value)) {
            let message = format!("{} is not a status code of HTTP", status.value);
            return Err(reader.report(Diagnostic::error(
                Code::InvalidValue,
                message,
                status.span,
                "100 to 599",
            )));
        }
        return Ok(Check::Http {
            url: url.value.0,
            status: status.map_or(200, |status| status.value),
            body: body.map(|body| body.value),
        });
    }
    if let Some(address) = reader.optional::<TcpAddress>("tcp")? {
        return Ok(Check::Tcp {
            address: address.value.0,
        });
    }
    let unit = reader.required::<UnitName>("unit")?;
    Ok(Check::Unit { unit: unit.value })
}
