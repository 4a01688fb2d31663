//! `springtide`: the command line, the configuration, and the rooms put
//! together. The only crate that reads the clock, the environment and signals;
//! it must never decide what is fresh or cacheable.

mod ask;
mod bench;
mod cli;
mod clock;
mod config;
mod demo;
mod signals;
mod state_folder;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli.logging.start(cli.command.log_level());
    match cli::run(cli.command) {
        Ok(code) => code,
        Err(error) => cli::report(&error),
    }
}
