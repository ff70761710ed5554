//! What this machine has, and how fast it is: measured, not believed.

use std::fmt;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use plasma_proto::plasma::market::v1::Hardware;

use crate::engine::EngineError;

/// Time that each of the two measurements may take, beyond one warm-up run.
const MEASURE: Duration = Duration::from_millis(400);
/// Side of the matrices multiplied on a processor; an accelerator needs more to be busy.
const CPU_SIDE: usize = 768;
/// See [`CPU_SIDE`].
const ACCELERATOR_SIDE: usize = 8192;
/// Rows and columns of the matrix that is read on a processor: 128 MiB, more than its caches hold.
const CPU_READ: (usize, usize) = (4096, 8192);
/// See [`CPU_READ`]: 1 GiB.
const ACCELERATOR_READ: (usize, usize) = (8192, 32_768);

/// Where models run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The processor.
    Cpu,
    /// An NVIDIA accelerator, by number; needs the feature `cuda`.
    Cuda(usize),
    /// An Apple accelerator, by number; needs the feature `metal`.
    Metal(usize),
}

impl Backend {
    /// The best that this build and machine have.
    #[must_use]
    pub fn best() -> Self {
        [Self::Cuda(0), Self::Metal(0)]
            .into_iter()
            .find(|backend| backend.open().is_ok())
            .unwrap_or(Self::Cpu)
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`EngineError::Model`] when this build has no such backend or this machine no such device.
    pub fn open(self) -> Result<Device, EngineError> {
        let device = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) if candle_core::utils::cuda_is_available() => {
                Device::new_cuda(number)
            }
            Self::Metal(number) if candle_core::utils::metal_is_available() => {
                Device::new_metal(number)
            }
            other => {
                return Err(EngineError::Model(format!(
                    "this build has no {other}: build with --features {}",
                    other.name()
                )));
            }
        };
        device.map_err(|error| EngineError::Model(format!("{self}: {error}")))
    }

    /// `cpu`, `cuda` or `metal`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Metal(_) => "metal",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) | Self::Metal(number) => write!(f, "{}:{number}", self.name()),
        }
    }
}

/// `cpu`, `cuda`, `cuda:1`, `metal`, or `auto` for the best there is.
impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is no backend: cpu, cuda, cuda:1, metal or auto");
        let (name, number) = text.split_once(':').unwrap_or((text, "0"));
        let number = number.parse().map_err(|_| unknown())?;
        match name {
            "auto" if !text.contains(':') => Ok(Self::best()),
            "cpu" if !text.contains(':') => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(number)),
            "metal" => Ok(Self::Metal(number)),
            _ => Err(unknown()),
        }
    }
}

/// Names the device and measures it, in about a second.
///
/// # Errors
/// [`EngineError::Model`] when the device refuses.
pub fn measure(backend: Backend) -> Result<Hardware, EngineError> {
    let device = backend.open()?;
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.refresh_cpu_all();
    let processor = system
        .cpus()
        .first()
        .map(|cpu| cpu.brand().trim().to_owned())
        .filter(|name| !name.is_empty());
    let processor = processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let accelerator = match backend {
        Backend::Cuda(number) => nvidia(number),
        Backend::Cpu | Backend::Metal(_) => None,
    };
    let (name, memory_bytes) = accelerator.unwrap_or((processor, system.total_memory()));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    Ok(Hardware {
        device: name,
        backend: backend.name().to_owned(),
        memory_bytes,
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        f32_mflops: f32_mflops(&device)?,
        memory_mb_per_s: memory_mb_per_s(&device)?,
    })
}

/// Name and memory (bytes) as NVIDIA's driver tells them.
fn nvidia(number: usize) -> Option<(String, u64)> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=name,memory.total", "--format=csv,noheader,nounits", "-i"])
        .arg(number.to_string())
        .output()
        .ok()?;
    parse_nvidia(&String::from_utf8_lossy(&output.stdout))
}

fn parse_nvidia(text: &str) -> Option<(String, u64)> {
    let (name, mebibytes) = text.lines().next()?.rsplit_once(',')?;
    let mebibytes: u64 = mebibytes.trim().parse().ok()?;
    Some((name.trim().to_owned(), mebibytes.checked_mul(1024 * 1024)?))
}

/// Multiply-adds per second in millions: n^3 of them in a product of two n x n matrices.
fn f32_mflops(device: &Device) -> Result<u64, EngineError> {
    let side = if device.is_cpu() { CPU_SIDE } else { ACCELERATOR_SIDE };
    let a = Tensor::ones((side, side), DType::F32, device)?;
    let best = best_of(device, || a.matmul(&a))?;
    Ok(((side as f64).powi(3) / best.as_secs_f64() / 1e6) as u64)
}

/// Megabytes (10^6) per second that a product of a vector and a matrix reads: what bounds the writing of
/// tokens.
fn memory_mb_per_s(device: &Device) -> Result<u64, EngineError> {
    let (rows, columns) = if device.is_cpu() { CPU_READ } else { ACCELERATOR_READ };
    let matrix = Tensor::ones((rows, columns), DType::F32, device)?.t()?;
    let vector = Tensor::ones((1, columns), DType::F32, device)?;
    let best = best_of(device, || vector.matmul(&matrix))?;
    Ok(((rows * columns * 4) as f64 / best.as_secs_f64() / 1e6) as u64)
}

/// Shortest of the runs that fit into [`MEASURE`], at least one after a warm-up.
fn best_of(
    device: &Device,
    work: impl Fn() -> candle_core::Result<Tensor>,
) -> Result<Duration, EngineError> {
    let run = || -> Result<Duration, EngineError> {
        let began = Instant::now();
        work()?;
        device.synchronize()?;
        // No clock is finer than this.
        Ok(began.elapsed().max(Duration::from_nanos(100)))
    };
    run()?;
    let began = Instant::now();
    let mut best = run()?;
    while began.elapsed() < MEASURE {
        best = best.min(run()?);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_measured() {
        let hardware = measure(Backend::Cpu).unwrap();
        println!("{hardware:?}");
        assert_eq!(hardware.backend, "cpu");
        assert!(!hardware.device.is_empty());
        assert!(hardware.cores > 0 && hardware.memory_bytes > 1 << 20);
        assert!(hardware.f32_mflops > 10 && hardware.memory_mb_per_s > 10, "{hardware:?}");
    }

    #[test]
    fn backends_have_names() {
        for (text, backend) in [
            ("cpu", Backend::Cpu),
            ("cuda", Backend::Cuda(0)),
            ("cuda:3", Backend::Cuda(3)),
            ("metal:0", Backend::Metal(0)),
        ] {
            assert_eq!(text.parse(), Ok(backend));
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        for text in ["", "gpu", "cpu:1", "cuda:x", "cuda:-1"] {
            assert!(text.parse::<Backend>().is_err(), "{text}");
        }
        assert!("auto".parse::<Backend>().is_ok());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_missing_backend_says_how_to_get_it() {
        let error = Backend::Cuda(0).open().unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }

    #[test]
    fn the_drivers_words_are_read() {
        let told = parse_nvidia("NVIDIA H200, 143771\n");
        assert_eq!(told, Some(("NVIDIA H200".to_owned(), 143_771 * 1024 * 1024)));
        assert_eq!(parse_nvidia(""), None);
        assert_eq!(parse_nvidia("No devices were found"), None);
    }
}
