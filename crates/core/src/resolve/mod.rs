//! Typed configuration to [`crate::model::Desired`], one per host. It looks at no host.
