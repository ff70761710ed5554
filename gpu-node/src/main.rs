//! The daemon of a rig: see `gpu-node --help`.

use std::process::ExitCode;

use clap::Parser as _;
use gpu_node::commands::{Cli, exit_code, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gpu-node: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
