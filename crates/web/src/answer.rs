//! Answers that are not a success.

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub::Failure;
use hub::view::{self, FailureCode};

/// A failure as an answer.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) Failure);

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            FailureCode::BadRequest => StatusCode::BAD_REQUEST,
            FailureCode::NotFound => StatusCode::NOT_FOUND,
            FailureCode::Refused => StatusCode::FORBIDDEN,
            FailureCode::Conflict => StatusCode::CONFLICT,
            FailureCode::Unreachable => StatusCode::BAD_GATEWAY,
            FailureCode::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            FailureCode::LoginNeeded => StatusCode::UNAUTHORIZED,
            FailureCode::CodeNeeded => StatusCode::FORBIDDEN,
            FailureCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(view::Failure { error: self.0 })).into_response()
    }
}

/// A JSON body, with our own failure when it is not what it should be.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failed;
    async fn from_request(request: Request, state: &S) -> Result<Self, Failed> {
        let Json(body) = Json::from_request(request, state).await.map_err(
            |rejection: axum::extract::rejection::JsonRejection| {
                Failed(Failure::new(FailureCode::BadRequest, rejection.body_text()))
            },
        )?;
        Ok(Self(body))
    }
}
