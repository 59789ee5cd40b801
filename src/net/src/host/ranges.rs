//! The pod ranges as a whole: what no pod has leads nowhere, instead of outside by the default route.

use pinnace_api::Cidr;
use pinnace_sys::SysResult;

use crate::links::{Steps, socket};

/// Makes what no pod has unreachable.
pub(crate) fn close(ranges: &[Cidr]) -> SysResult<()> {
    let mut host = socket()?;
    for range in ranges {
        let mut steps = Steps::default();
        steps.unreachable(*range);
        steps.run(&mut host, &range.to_string())?;
    }
    Ok(())
}

/// Undoes this; what is not there is fine.
pub(crate) fn open(ranges: &[Cidr]) -> SysResult<()> {
    let mut host = socket()?;
    for range in ranges {
        let mut steps = Steps::default();
        steps.not_unreachable(*range);
        match steps.run(&mut host, &range.to_string()) {
            Err(error) if error.errno() == Some(libc::ESRCH) => {}
            done => done?,
        }
    }
    Ok(())
}
