//! `pinnace drain`.

use std::io::Write;

use pinnace_server::{Client, ClientError, DrainRequest};

use crate::cli::DrainArgs;

/// Ends the pods and waits for their end.
pub async fn run(client: &Client, args: &DrainArgs, out: &mut impl Write) -> Result<(), ClientError> {
    let request = DrainRequest {
        all: args.all,
        grace_period_seconds: args.grace_period,
        timeout_seconds: Some(u32::try_from(args.timeout.as_secs()).unwrap_or(u32::MAX)),
    };
    client.drain(&request).await?;
    // The pods are gone, whether or not somebody reads so.
    let _ = writeln!(
        out,
        "every pod has ended; none is started until the agent is started again"
    );
    Ok(())
}
