//! A request with a body of lines becomes a stream of results, whoever carries both.

use std::rc::Rc;

use super::devices::DeviceLines;
use super::http::RequestHead;
use super::lines::{Flow, LinesIn, LinesOut, run};
use super::push::PushLines;
use super::{App, Runtime};
use crate::api::{
    Caller, Problem, Reply, Route, admit, are_lines, check_lines, idempotency_header,
};
use crate::limits::STORE_UNAVAILABLE;

/// A request whose body is one of lines, and that is to be carried out.
pub struct Upload<R: Runtime> {
    app: Rc<App<R>>,
    route: Route,
    /// The values of the header that the caller is known by; `None` if it is the operator.
    authorization: Option<Vec<Vec<u8>>>,
}

impl<R: Runtime> core::fmt::Debug for Upload<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Upload({:?})", self.route.scope())
    }
}

impl<R: Runtime> Upload<R> {
    /// By what is known of a request before its body; `None` if the body is none of lines, or the
    /// call takes none. The error is the reply.
    pub fn begin(
        head: &RequestHead<'_>,
        app: impl FnOnce() -> Result<Rc<App<R>>, Problem>,
    ) -> Option<Result<Self, Reply>> {
        let header = head.header;
        if !are_lines(&header("content-type")) {
            return None;
        }
        let path = head.target.split('?').next().unwrap_or_default();
        let route = Route::parse(head.method, path).ok();
        let route = route.filter(Route::takes_lines)?;
        Some(Self::admitted(head, route, app).map_err(Problem::into_reply))
    }

    fn admitted(
        head: &RequestHead<'_>,
        route: Route,
        app: impl FnOnce() -> Result<Rc<App<R>>, Problem>,
    ) -> Result<Self, Problem> {
        if route.waits_for_disk() && (head.is_unwritable)() {
            return Err(Problem::store(STORE_UNAVAILABLE));
        }
        let app = app()?;
        let header = head.header;
        let authorization = header("authorization");
        admit(&app.settings, &route, &authorization)?;
        check_lines(&header("content-type"), &header("content-encoding"))?;
        if idempotency_header(&header("idempotency-key"))?.is_some() {
            let expected = "none beside lines, each of which may have one";
            return Err(Problem::field(
                "idempotency-key",
                "idempotency-key",
                expected,
                "one",
            ));
        }
        Ok(Self {
            app,
            route,
            authorization: Some(authorization),
        })
    }

    /// Lines of whoever has started the function, to a call that takes lines.
    pub fn of_operator(app: Rc<App<R>>, route: Route) -> Self {
        Self {
            app,
            route,
            authorization: None,
        }
    }

    /// Carries it out. What is wrong with a line is its result; the last line written sums up.
    pub async fn run(self, input: impl LinesIn, output: impl LinesOut) {
        let app = &*self.app;
        let caller = match &self.authorization {
            Some(authorization) => admit(&app.settings, &self.route, authorization),
            None => Ok(Caller::operator(&app.settings)),
        };
        // It was admitted by the same.
        let Ok(caller) = caller else { return };
        let (flow, platform) = (Flow::default(), &app.platform);
        match self.route {
            Route::PostDevice => {
                let work = DeviceLines::new(app, caller, &flow);
                run(&work, &flow, platform, input, output).await;
            }
            _ => {
                let work = PushLines::new(app, caller, &flow);
                run(&work, &flow, platform, input, output).await;
            }
        }
    }
}
