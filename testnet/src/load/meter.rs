//! What processes have used, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Clock ticks of a second in `/proc/PID/stat`: the same on every Linux.
const TICKS_PER_S: u64 = 100;

/// CPU time of one process so far, user and system.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything; utime and stime are the 14th and 15th field.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    let ticks = ticks.context("/proc/PID/stat has no times")?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_S))
}

/// Resident memory of a process, MB.
///
/// # Errors
/// It is not there.
pub fn resident_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = rss.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}

/// What processes of one kind have used between two looks.
#[derive(Clone, Debug)]
pub struct Usage {
    /// What they are.
    pub name: &'static str,
    /// CPU of all of them together.
    pub cpu: Duration,
    /// Resident memory of the largest, MB.
    pub resident_mb: f64,
}

/// Looks at processes, kind by kind.
pub struct Meter {
    kinds: Vec<(&'static str, Vec<u32>)>,
    from: Vec<Duration>,
}

fn sum(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

impl Meter {
    /// Begins to count.
    ///
    /// # Errors
    /// A process is not there.
    pub fn start(kinds: Vec<(&'static str, Vec<u32>)>) -> Result<Self> {
        let from = kinds.iter().map(|(_, pids)| sum(pids)).collect::<Result<_>>()?;
        Ok(Self { kinds, from })
    }

    /// What was used since.
    ///
    /// # Errors
    /// A process is not there any more.
    pub fn read(&self) -> Result<Vec<Usage>> {
        let mut usages = Vec::new();
        for ((name, pids), from) in self.kinds.iter().zip(&self.from) {
            let resident = pids.iter().map(|pid| resident_mb(*pid)).collect::<Result<Vec<_>>>()?;
            usages.push(Usage {
                name,
                cpu: sum(pids)?.saturating_sub(*from),
                resident_mb: resident.into_iter().fold(0.0, f64::max),
            });
        }
        Ok(usages)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn own_work_is_seen() {
        let meter = Meter::start(vec![("self", vec![std::process::id()])]).unwrap();
        let until = Instant::now() + Duration::from_millis(300);
        let mut sum = 0u64;
        while Instant::now() < until {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let usage = meter.read().unwrap();
        assert!(usage[0].cpu > Duration::ZERO, "{usage:?}");
        assert!(usage[0].resident_mb > 1.0, "{usage:?}");
    }
}
