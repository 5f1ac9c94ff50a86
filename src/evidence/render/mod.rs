//! The report as people and programs read it: text, HTML, JSON of three lengths, forms to sign, and `VERIFY.txt`.

mod declaration;
mod detail;
mod diagnostic;
mod html;
mod text;
mod timeline;
mod verify_txt;

pub use declaration::{CertifiedFile, DeclarationError, EvidenceRule, declaration, disposal_declaration};
pub use detail::ReportLevel;
pub use diagnostic::Diagnostic;
pub use html::{STYLE, shown_date, shown_time};
pub use timeline::{Ground, Step, Timeline};
pub use verify_txt::instructions;
