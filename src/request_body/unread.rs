//! Connections of bodies that were not read to their end.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures_util::Stream;

/// Ends the connection with the answer when the body of the request was not read to its end.
///
/// Of a chunked body that nobody reads, the rest would be taken and thrown away for as long as it comes: there is no pace
/// for what is thrown away.
///
/// # Errors
/// Those of `next`.
pub async fn close_unread<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answer<B>>, Error> {
    let payload = Rc::new(RefCell::new(request.take_payload()));
    if !matches!(*payload.borrow(), Payload::None) {
        request.set_payload(Payload::Stream { payload: Box::pin(Shared(payload.clone())) });
    }
    Ok(next.call(request).await?.map_body(|_, body| Answer { body: Box::pin(body), _payload: payload }))
}

/// A body that its reader and its answer have together.
struct Shared(Rc<RefCell<Payload>>);

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}

/// An answer that keeps the body of its request: where that is there and was not read, the connection is closed behind it.
pub struct Answer<B> {
    body: Pin<Box<B>>,
    _payload: Rc<RefCell<Payload>>,
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.body.as_mut().poll_next(context)
    }
}
