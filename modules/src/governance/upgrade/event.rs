use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// What is reported of upgrades.
pub(super) enum Event {
    Planned { name: String, height: u64 },
    Cancelled { name: String },
    Applied { name: String, height: u64, version: u64 },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "upgrade_planned",
            Self::Cancelled { .. } => "upgrade_cancelled",
            Self::Applied { .. } => "upgrade_applied",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Planned { name, height } => {
                vec![("name", name.clone()), ("height", height.to_string())]
            }
            Self::Cancelled { name } => vec![("name", name.clone())],
            Self::Applied { name, height, version } => vec![
                ("name", name.clone()),
                ("height", height.to_string()),
                ("version", version.to_string()),
            ],
        }
    }
}
