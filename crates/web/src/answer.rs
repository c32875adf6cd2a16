//! Answers that are not a success.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
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

impl From<hub::fleet::Error> for Failed {
    fn from(error: hub::fleet::Error) -> Self {
        Self(error.into())
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

/// What a query says, with our own failure when it is not what it should be. As pairs, its keys may
/// come several times.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failed;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let asked = Query::from_request_parts(parts, state).await;
        let Query(asked) = asked.map_err(|rejection: QueryRejection| {
            let failure = Failure::new(FailureCode::BadRequest, rejection.body_text());
            Failed(failure.hint("see /api/v1/openapi.json"))
        })?;
        Ok(Self(asked))
    }
}
