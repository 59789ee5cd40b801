//! Signals as messages: SIGHUP reloads, SIGTERM and SIGINT end the agent and leave the pods.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Read the configuration again.
    Reload,
    /// End the agent.
    End,
}

/// Hands signals on for the rest of the process's life.
pub fn listen() -> std::io::Result<mpsc::UnboundedReceiver<Asked>> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let (asked, receiver) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(64 << 10)
        .spawn(move || {
            for signal in signals.forever() {
                let ask = if signal == SIGHUP {
                    Asked::Reload
                } else {
                    Asked::End
                };
                if asked.send(ask).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}
