//! The reference: tokens in memory, in the order in which they were made.

use std::sync::Mutex;

use super::TokenRows;
use crate::access::token::StoredToken;
use crate::crypto::Sha256Digest;
use crate::path_error::PathError;

#[derive(Default)]
pub(super) struct MemoryTokens(Mutex<Vec<StoredToken>>);

impl MemoryTokens {
    fn find(&self, is_it: impl Fn(&StoredToken) -> bool) -> Option<StoredToken> {
        self.0.lock().expect("no holder of this lock panics").iter().find(|known| is_it(known)).cloned()
    }
}

impl TokenRows for MemoryTokens {
    fn put(&self, token: &StoredToken) -> Result<(), PathError> {
        let mut tokens = self.0.lock().expect("no holder of this lock panics");
        match tokens.iter_mut().find(|known| known.token.id == token.token.id) {
            Some(known) => *known = token.clone(),
            None => tokens.push(token.clone()),
        }
        Ok(())
    }

    fn of_secret(&self, secret: Sha256Digest) -> Result<Option<StoredToken>, PathError> {
        Ok(self.find(|known| known.secret == secret))
    }

    fn of_name(&self, name: &str) -> Result<Option<StoredToken>, PathError> {
        Ok(self.find(|known| known.token.id.to_string() == name))
    }

    fn all(&self) -> Result<Vec<StoredToken>, PathError> {
        Ok(self.0.lock().expect("no holder of this lock panics").clone())
    }
}
