//! `sidecar-injector istio-iptables`: the commands that an init container would run.

use std::process::ExitCode;

use clap::Args;

use super::{input, variables};
use crate::iptables::{self, Outcome};

/// The arguments of `istio-iptables`.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(super) struct Iptables {
    /// --era 1.0, then the arguments of Istio 1.0's istio-iptables.sh; or --era modern, then those of pilot-agent
    /// istio-iptables. Their environment variables count, too
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl Iptables {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let variables = variables().collect();
        let outcome = match self.arguments.split_at_checked(2) {
            Some(([flag, era], rest)) if flag == "--era" => match era.as_str() {
                "1.0" => iptables::v1_0(rest, &variables),
                "modern" => iptables::modern(rest, &variables),
                _ => anyhow::bail!("--era {era}: only the eras 1.0 and modern are known"),
            },
            _ => anyhow::bail!("begin with --era 1.0 or --era modern"),
        };
        let outcome = outcome.map_err(anyhow::Error::msg)?;
        match outcome {
            Outcome::Commands(commands) => {
                input::print(&commands.iter().map(|command| format!("{command}\n")).collect::<String>())?;
            }
            Outcome::Help(text) => input::warn(text),
        }
        Ok(ExitCode::SUCCESS)
    }
}
