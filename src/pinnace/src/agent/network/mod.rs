//! The node's network, as the configuration has it.
//!
//! | room | what |
//! | --- | --- |
//! | [`settings`] | what each adapter is made of, out of configuration and root |
//! | [`pods`] | routed links, CNI plugins, or nothing, behind one port |
//! | [`none`] | nothing |
//! | [`names`] | the DNS server and its sockets |
//! | [`start`] | brings it up, again and again where the host lacks something |

mod names;
mod none;
mod pods;
mod settings;
mod start;

pub use names::{NodeNames, listen};
pub use pods::{PodsNetwork, findings};
pub use settings::NetworkSettings;
pub use start::keep_up;
