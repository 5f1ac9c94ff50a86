//! Access: the API tokens, and the roles that they give.

mod token;

pub use token::{ApiToken, ApiTokenError, NewToken, Role, TokenId, TokenRequest, TokenStore};
