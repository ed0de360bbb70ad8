//! Timing whole processes in turn, and the table rows that come of it. It judges nothing.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::say;

/// Runs of one thing, in the order in which they were made.
pub(crate) struct Series {
    label: String,
    times: Vec<Duration>,
}

/// One way to do something that is compared with others. A run gives the time that it took.
pub(crate) struct Way<'a> {
    label: String,
    run: Box<dyn FnMut() -> Result<Duration, Box<dyn Error>> + 'a>,
}

impl<'a> Way<'a> {
    pub(crate) fn new(label: impl Into<String>, run: impl FnMut() -> Result<Duration, Box<dyn Error>> + 'a) -> Self {
        Self {
            label: label.into(),
            run: Box::new(run),
        }
    }

    /// A command from its start to its end.
    pub(crate) fn command(label: impl Into<String>, command: impl Fn() -> Command + 'a) -> Self {
        Self::new(label, move || timed(&mut command()))
    }
}

/// Makes `rounds` runs of each way, one of each in turn, so that a machine that gets slower gets slower for all. The order turns
/// round with each round. Before them comes one round that is not counted.
pub(crate) fn in_turn(rounds: usize, ways: &mut [Way<'_>]) -> Result<Vec<Series>, Box<dyn Error>> {
    for way in &mut *ways {
        (way.run)()?;
    }
    cold_in_turn(rounds, ways)
}

/// As [`in_turn`], with every run counted.
pub(crate) fn cold_in_turn(rounds: usize, ways: &mut [Way<'_>]) -> Result<Vec<Series>, Box<dyn Error>> {
    let mut series: Vec<_> = ways
        .iter()
        .map(|way| Series {
            label: way.label.clone(),
            times: Vec::with_capacity(rounds),
        })
        .collect();
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..ways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for number in order {
            series[number].times.push((ways[number].run)()?);
        }
    }
    Ok(series)
}

/// Runs a command to its end, which must be a good one, and gives its output.
pub(crate) fn run(command: &mut Command) -> Result<Output, Box<dyn Error>> {
    let output = command.stdin(Stdio::null()).output()?;
    good(command, output)
}

/// Runs a command with this on its standard input.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Result<Output, Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    std::io::Seek::rewind(&mut file)?;
    let output = command.stdin(file).output()?;
    good(command, output)
}

fn good(command: &Command, output: Output) -> Result<Output, Box<dyn Error>> {
    if output.status.success() {
        return Ok(output);
    }
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Err(format!("{command:?}: {}\n{said}\n{complained}", output.status).into())
}

/// How long a command takes.
pub(crate) fn timed(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

/// How long commands take that run at once, up to the last one's end.
pub(crate) fn timed_at_once(commands: &mut [Command]) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut children = Vec::new();
    for command in &mut *commands {
        children.push(command.stdin(Stdio::null()).spawn()?);
    }
    let mut all_good = true;
    for child in &mut children {
        all_good &= child.wait()?.success();
    }
    let time = start.elapsed();
    if all_good {
        Ok(time)
    } else {
        Err(format!("one of {} commands at once failed", commands.len()).into())
    }
}

impl Series {
    pub(crate) fn new(label: impl Into<String>, times: Vec<Duration>) -> Self {
        Self {
            label: label.into(),
            times,
        }
    }

    /// The middle one; of an even number the faster of the two.
    pub(crate) fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times
            .get(times.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or_default()
    }

    fn fastest(&self) -> Duration {
        self.times.iter().min().copied().unwrap_or_default()
    }

    fn slowest(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }

    /// The median of the ratios of runs made in the same round.
    fn ratio(&self, baseline: &Self) -> f64 {
        let mut ratios: Vec<f64> = self
            .times
            .iter()
            .zip(&baseline.times)
            .map(|(time, baseline)| time.as_secs_f64() / baseline.as_secs_f64())
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios
            .get(ratios.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// Prints a heading, with how busy the machine is: other work on it makes every figure larger.
pub(crate) fn heading(text: &str) -> Result<(), Box<dyn Error>> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let processors = std::thread::available_parallelism()?;
    say(format_args!("\n{text}   (load {load}; {processors} processors)"))?;
    say(format_args!(
        "  {:<44} {:>4} {:>9} {:>9} {:>9} {:>7}",
        "", "runs", "median s", "min s", "max s", "ratio"
    ))
}

/// Prints one line per series; the ratios are to the first one.
pub(crate) fn rows(series: &[Series]) -> Result<(), Box<dyn Error>> {
    let Some(baseline) = series.first() else { return Ok(()) };
    for one in series {
        let [median, min, max] = [one.median(), one.fastest(), one.slowest()].map(|time| time.as_secs_f64());
        let (label, runs, ratio) = (&one.label, one.times.len(), one.ratio(baseline));
        say(format_args!(
            "  {label:<44} {runs:>4} {median:>9.3} {min:>9.3} {max:>9.3} {ratio:>7.2}"
        ))?;
    }
    Ok(())
}
