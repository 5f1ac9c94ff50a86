//! Access: the API tokens, and the roles that they give.

mod store;
mod token;
mod token_store;

pub use token::{ApiToken, ApiTokenError, NewToken, Role, TokenId, TokenRequest};
pub use token_store::TokenStore;
