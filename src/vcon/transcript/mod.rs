//! Transcripts: the turns of a conversation, captions, and the World Transcription Format.

pub(in crate::vcon) mod captions;
pub(in crate::vcon) mod turns;
pub(in crate::vcon) mod wtf;
