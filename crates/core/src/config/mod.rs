//! Text of host files and modules to typed values that know their file and line, and findings about them for people.
//! It applies no defaults, renders no templates and reads no disk.

mod answer;
mod code;
mod decode;
mod diagnostic;
mod fields;
mod group;
mod host;
mod import;
mod module;
mod network;
mod option;
mod option_type;
mod option_value;
mod pattern;
mod port;
mod project;
mod render;
mod resource;
mod scalar;
mod schema;
mod setting;
mod shorthand;
mod size;
mod sort;
mod source;
mod tree;
mod word;

pub(crate) use answer::Answer;
pub use code::Code;
pub(crate) use decode::{finding, listed};
pub use diagnostic::{Diagnostic, Label, Severity, did_you_mean, nearest};
pub use group::HostGroup;
pub use host::{Host, SecretSettings};
pub use import::Import;
pub use module::{Assert, Module};
pub(crate) use network::{Interface, Network, PortRange};
pub use option::{Deprecated, OptionDeclaration};
pub use option_type::{OptionType, Record};
pub use option_value::{OptionValue, Reported};
pub use pattern::Pattern;
pub use port::{PortClaim, Protocol};
pub(crate) use port::{port_from_text, port_twice};
pub use project::{Project, ProjectStores, load};
pub use render::{DIAGNOSTICS_FORMAT, render, to_json};
pub use resource::{Declaration, FieldValue, noun};
pub(crate) use scalar::{Problem, Scalar, SwapPriority, is_template, shown};
pub use schema::{Field, Shape, check_name, fields, short_form};
pub use setting::{Priority, Setting};
pub use shorthand::Shorthand;
pub use size::Size;
pub use sort::Sort;
pub use source::{LocalFileError, LocalFiles, MAX_SOURCE_BYTES, SourceId, SourceMap, Sources, Span, Spanned};
pub(crate) use tree::place_in_text;
pub use tree::{Entry, Node, Table, Value};
pub(crate) use word::{
    HttpUrl, InstanceName, LocalPath, OwnerName, PackageName, PublicKey, SecretName, TcpAddress, Url, UserName,
};
