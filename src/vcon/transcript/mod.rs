//! Transcripts: the turns of a conversation, captions, and the World Transcription Format.

pub(super) mod captions;
pub(super) mod turns;
pub(super) mod wtf;
