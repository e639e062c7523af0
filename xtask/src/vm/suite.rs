//! The kernel tests, put into a virtual machine.

use super::cpio::Tree;
use super::image;
use crate::shell::built_with_all;

/// Where the tests are in the machine.
const PLACE: &str = "/usr/lib/warrantd/kernel_suite";

/// Builds the tests, puts them into the tree, and gives their command line.
pub(super) fn argv(tree: &mut Tree, arguments: &[String]) -> anyhow::Result<Vec<String>> {
    image::add(tree, &built_with_all("kernel_suite")?, PLACE)?;
    Ok([PLACE.to_owned()].into_iter().chain(arguments.iter().cloned()).collect())
}
