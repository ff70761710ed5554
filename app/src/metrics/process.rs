//! The process itself, from `/proc`; where there is none, the numbers stay zero. Names are those
//! that Prometheus's own libraries use.

use std::{fs, sync::atomic::AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
/// What the kernel counts processor time in, for programs, on every machine (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

type Seconds = Counter<f64, AtomicU64>;

/// Numbers of this process.
pub(super) struct Process {
    cpu_s: Seconds,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new(into: &mut Registry) -> Self {
        let process = Self {
            cpu_s: Seconds::default(),
            resident_bytes: Gauge::default(),
            virtual_bytes: Gauge::default(),
            open_fds: Gauge::default(),
            max_fds: Gauge::default(),
            threads: Gauge::default(),
        };
        let Self { cpu_s, resident_bytes, virtual_bytes, open_fds, max_fds, threads } = &process;
        into.register("cpu_seconds", "Processor time, user and system", cpu_s.clone());
        into.register("resident_memory_bytes", "Memory in use", resident_bytes.clone());
        into.register("virtual_memory_bytes", "Memory mapped", virtual_bytes.clone());
        into.register("open_fds", "Open files and sockets", open_fds.clone());
        into.register("max_fds", "Most open files and sockets allowed", max_fds.clone());
        into.register("threads", "Threads", threads.clone());
        process
    }

    /// Reads them anew.
    pub(super) fn read(&self) {
        let text =
            |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        if let Some(ticks) = cpu_ticks(&text("stat")) {
            self.cpu_s.inc_by((ticks as f64 / TICKS_PER_S - self.cpu_s.get()).max(0.0));
        }
        let status = text("status");
        for (name, unit, gauge) in [
            ("VmRSS:", 1024, &self.resident_bytes),
            ("VmSize:", 1024, &self.virtual_bytes),
            ("Threads:", 1, &self.threads),
        ] {
            if let Some(number) = field(&status, name) {
                gauge.set(number.saturating_mul(unit));
            }
        }
        if let Some(limit) = field(&text("limits"), "Max open files") {
            self.max_fds.set(limit);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // Reading the folder holds one of them.
            self.open_fds.set(entries.count().saturating_sub(1) as i64);
        }
    }
}

/// User and system time. The program's name, in brackets, may hold anything: what counts stands
/// after the last bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()?.saturating_add(ticks()?))
}

/// The number behind a name at the begin of a line.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        let text = "26231 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 11 12 20 0 9 0 22 4096000 77";
        assert_eq!(cpu_ticks(text), Some(200));
        assert_eq!(cpu_ticks("nonsense"), None);
        let limits = "Limit  Soft  Hard  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(field(limits, "Max open files"), Some(1024));
        assert_eq!(field("VmRSS:\t   123 kB\n", "VmRSS:"), Some(123));
        assert_eq!(field("VmRSS:\t   123 kB\n", "VmSize:"), None);
    }

    #[test]
    fn this_process_has_numbers() {
        let process = Process::new(&mut Registry::default());
        process.read();
        if cfg!(target_os = "linux") {
            assert!(process.resident_bytes.get() > 0 && process.open_fds.get() > 0);
            assert!(process.max_fds.get() > 0 && process.threads.get() > 0);
        }
    }
}
