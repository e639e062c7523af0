//! The kernel tests, put into a virtual machine.

use super::cpio::Tree;
use super::image;
use crate::shell::built;

/// Where the tests are in the machine.
const PLACE: &str = "/usr/lib/warrantd/kernel_suite";

/// Builds the tests, puts them into the tree, and gives their command line.
pub(super) fn argv(tree: &mut Tree, arguments: &[String]) -> anyhow::Result<Vec<String>> {
    let build = ["test", "--quiet", "--package", "warrantd", "--test", "kernel_suite", "--no-run"];
    image::add(tree, &built(&build, "kernel_suite")?, PLACE)?;
    Ok([PLACE.to_owned()].into_iter().chain(arguments.iter().cloned()).collect())
}
