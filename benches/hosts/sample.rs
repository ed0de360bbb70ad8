//! Timing whole processes in turn, and the table rows that come of it. It judges nothing.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::process::{Command, Stdio};
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
        Self::new(label, move || Ok(run(&mut command())?.time))
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

/// A command that ended well.
pub(crate) struct Ran {
    /// From its start to its end.
    pub(crate) time: Duration,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> Result<Ran, Box<dyn Error>> {
    run_to_end(command.stdin(Stdio::null()))
}

/// Runs a command with this on its standard input.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Result<Ran, Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    run_to_end(command.stdin(file))
}

/// Output goes to files: the end of a pipe would be the end of whatever a command leaves running, such as ssh's masters.
fn run_to_end(command: &mut Command) -> Result<Ran, Box<dyn Error>> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    let [stdout, stderr] = [&mut stdout, &mut stderr].map(|file| {
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let (stdout, stderr) = (stdout?, stderr?);
    if status.success() {
        Ok(Ran { time, stdout, stderr })
    } else {
        Err(format!("{command:?}: {status}\n{stdout}\n{stderr}").into())
    }
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
