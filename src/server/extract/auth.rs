//! Authentication: the bearer token of a request, and its role.

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

use crate::access::{ApiToken, Role, TokenId};
use crate::authority::IssuerId;
use crate::issuance::Submitter;
use crate::server::problem::Problem;
use crate::server::state::AppState;

/// A request with a valid token.
#[derive(Debug)]
pub(in crate::server) struct Authenticated(ApiToken);

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl Authenticated {
    /// The holder of the valid token that `request` bears.
    ///
    /// # Errors
    /// When it bears none, or one that is not valid.
    pub(in crate::server) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let state = request.app_data::<Data<AppState>>().expect("the application has its state");
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = header.and_then(|value| value.strip_prefix("Bearer "));
        let secret = secret.ok_or_else(|| Problem::unauthorized("this request needs a bearer token"))?;
        Ok(Self(state.services.tokens.authenticate(secret, state.services.clock.now())?))
    }

    /// The public name of the token.
    pub(in crate::server) fn id(&self) -> &TokenId {
        &self.0.id
    }

    /// The issuer in whose name the caller submits: its own, or for an admin the one it names.
    pub(in crate::server) fn submitter(&self, named: Option<&str>) -> Result<Submitter, Problem> {
        let own = self.0.issuer.clone();
        let named: Option<IssuerId> =
            named.map(str::parse).transpose().map_err(|_| Problem::bad_request("issuer is not the id of an issuer"))?;
        let issuer = match (self.0.role, own, named) {
            (Role::Issuer, Some(own), None) => own,
            (Role::Issuer, Some(own), Some(named)) if own == named => own,
            (Role::Admin, _, Some(named)) => named,
            (Role::Admin, _, None) => return Err(Problem::bad_request("an admin must name the issuer: ?issuer=…")),
            _ => return Err(Problem::forbidden("this token may not submit for that issuer")),
        };
        let may_anchor_foreign = self.0.may_anchor_foreign || self.0.role == Role::Admin;
        Ok(Submitter { issuer, may_anchor_foreign })
    }

    /// The issuer whose records the caller may read; `None` is everybody's.
    pub(in crate::server) fn reads(&self) -> Option<&IssuerId> {
        match self.0.role {
            Role::Issuer => self.0.issuer.as_ref(),
            Role::Auditor | Role::Admin => None,
        }
    }

    /// Checks that the caller may put something into the ledger: an auditor only reads.
    pub(in crate::server) fn check_writer(&self) -> Result<(), Problem> {
        match self.0.role {
            Role::Issuer | Role::Admin => Ok(()),
            Role::Auditor => Err(Problem::forbidden("an auditor's token may only read")),
        }
    }

    /// Checks that the caller is an admin.
    pub(in crate::server) fn check_admin(&self) -> Result<(), Problem> {
        match self.0.role {
            Role::Admin => Ok(()),
            Role::Issuer | Role::Auditor => Err(Problem::forbidden("this request needs an admin's token")),
        }
    }
}
