//! The cloud server under a host, as configured. It knows no cloud's interface.

use serde::{Deserialize, Serialize};

/// The cloud server that a host runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Machine {
    /// A Hetzner Cloud server.
    Hetzner {
        /// Server type, such as `cx23`.
        server_type: String,
        /// Location, such as `fsn1`.
        location: String,
        /// Image, such as `debian-12`.
        image: String,
    },
    /// An EC2 instance.
    Aws {
        /// Instance type, such as `t3.small`.
        instance_type: String,
        /// Region, such as `eu-central-1`.
        region: String,
        /// Image (AMI id).
        image: String,
    },
}
