//! The exports of plugs become the imports of a socket.

use wac_graph::types::{Package, SubtypeChecker};
use wac_graph::{CompositionGraph, EncodeOptions, PackageId};

use dunlin_build::BuildError;

/// Joins `plugs`, each with a name for errors, to `socket`. The result exports what the socket
/// does, and imports what is left.
///
/// # Errors
/// If something is not a component, or a plug has an export that the socket does not import, or
/// imports as something else.
pub fn join(socket: &[u8], plugs: &[(&str, &[u8])]) -> Result<Vec<u8>, BuildError> {
    let mut graph = CompositionGraph::new();
    let socket = register(&mut graph, "socket", socket)?;
    let mut packages = Vec::new();
    for (name, bytes) in plugs {
        let plug = register(&mut graph, name, bytes)?;
        check(&graph, name, plug, socket)?;
        packages.push(plug);
    }
    let failed = |error: &dyn std::error::Error| BuildError::new(chain(error));
    wac_graph::plug(&mut graph, packages, socket).map_err(|error| failed(&error))?;
    graph
        .encode(EncodeOptions::default())
        .map_err(|error| failed(&error))
}

fn register(
    graph: &mut CompositionGraph,
    name: &str,
    bytes: &[u8],
) -> Result<PackageId, BuildError> {
    let package = format!("dunlin:{name}");
    let package = Package::from_bytes(&package, None, bytes, graph.types_mut())
        .map_err(|error| BuildError::new(format!("{name}: {error:#}")))?;
    graph
        .register_package(package)
        .map_err(|error| BuildError::new(format!("{name}: {error}")))
}

/// `wac_graph::plug` passes over what does not fit.
fn check(
    graph: &CompositionGraph,
    name: &str,
    plug: PackageId,
    socket: PackageId,
) -> Result<(), BuildError> {
    let types = graph.types();
    let imports = &types[graph[socket].ty()].imports;
    let mut cache = std::collections::HashSet::new();
    let mut checker = SubtypeChecker::new(&mut cache);
    for (export, offered) in &types[graph[plug].ty()].exports {
        let wanted = imports.get(export).ok_or_else(|| {
            BuildError::new(format!("{name}: exports {export}, which nobody imports"))
        })?;
        checker
            .is_subtype(*offered, types, *wanted, types)
            .map_err(|error| {
                BuildError::new(format!("{name}: {export} does not fit: {error:#}"))
            })?;
    }
    Ok(())
}

/// An error with what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
