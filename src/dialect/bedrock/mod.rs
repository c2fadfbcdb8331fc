//! Amazon Bedrock: converse and invoke.

pub mod usage;
