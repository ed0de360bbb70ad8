//! Text of host files and modules to typed values that know their file and line, and findings about them for people.
//! It applies no defaults, renders no templates and reads no disk.

mod code;
mod decode;
mod diagnostic;
mod host;
mod module;
mod option;
mod option_type;
mod project;
mod render;
mod resource;
mod scalar;
mod schema;
mod setting;
mod source;
mod tree;
mod word;

pub use code::Code;
pub(crate) use decode::{finding, listed};
pub use diagnostic::{Diagnostic, Label, Severity, did_you_mean, nearest};
pub use host::Host;
pub use module::{Assert, Module};
pub use option::{OptionDeclaration, OptionValue, Reported};
pub use option_type::OptionType;
pub use project::{Project, load};
pub use render::{DIAGNOSTICS_FORMAT, render, to_json};
pub use resource::{Declaration, FieldValue, noun};
pub(crate) use scalar::{Problem, Scalar, is_template, shown};
pub use schema::{Field, Shape, check_name, fields};
pub use setting::{Priority, Setting};
pub use source::{LocalFileError, LocalFiles, MAX_SOURCE_BYTES, SourceId, SourceMap, Sources, Span, Spanned};
pub(crate) use tree::place_in_text;
pub use tree::{Entry, Node, Table, Value};
pub(crate) use word::{HttpUrl, LocalPath, OwnerName, TcpAddress, UserName};
