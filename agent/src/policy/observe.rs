//! What stands open to a server that is only observed: everything but special and metadata addresses that
//! its policy does not list.

use super::network::Table;
use super::reach::{self, Reach};
use crate::config::{NetworkRule, NetworkSection, Problem};

/// The section's tables with everything opened.
pub(super) fn open(section: &NetworkSection) -> Result<(Table, Reach), Problem> {
    let everywhere = ["0.0.0.0/0", "::/0"]
        .map(|net| NetworkRule { cidr: net.parse().ok(), ..NetworkRule::default() });
    let every_name = NetworkRule { host: Some("*".to_owned()), ..NetworkRule::default() };
    let mut section = section.clone();
    section.allow.extend(everywhere.into_iter().chain([every_name]));
    let table = reach::table(&section)?;
    let mut reach = Reach::compile(&section, &table)?;
    reach.listen = reach::ports(&[], None);
    reach.any_unix_socket = true;
    Ok((table, reach))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::network::Protocol;

    fn opened(section: &str) -> (Table, Reach) {
        open(&serde_yaml::from_str(section).expect("a section")).expect("opens")
    }

    #[test]
    fn public_addresses_names_and_ports_stand_open() {
        let (table, reach) = opened("{}");
        for address in ["8.8.8.8", "2606:4700::1111"] {
            let address = address.parse().expect("an address");
            assert!(table.lookup(address, Protocol::Tcp, 443), "{address}");
            assert!(table.lookup(address, Protocol::Udp, 53), "{address}");
        }
        assert!(reach.names.find("anything.example").is_ok());
        assert!(reach.may_listen(Protocol::Tcp, 80) && reach.any_unix_socket);
    }

    #[test]
    fn special_addresses_stay_closed_unless_they_are_listed() {
        let closed = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00:ec2::254"];
        let (table, _) = opened("{}");
        for address in closed {
            let address = address.parse().expect("an address");
            assert!(!table.lookup(address, Protocol::Tcp, 80), "{address}");
        }
        let (table, _) = opened("{allow: [{cidr: 10.1.0.0/16, ports: [5432]}]}");
        let listed = "10.1.2.3".parse().expect("an address");
        assert!(table.lookup(listed, Protocol::Tcp, 5432));
        assert!(!table.lookup(listed, Protocol::Tcp, 80));
    }

    #[test]
    fn many_listed_ports_fit_beside_all_of_them() {
        let ports: Vec<_> = (1..=16).map(|n| (n * 10).to_string()).collect();
        let ports = ports.join(", ");
        let section = format!("{{allow: [{{cidr: 8.8.8.8/32, ports: [{ports}], protocol: tcp}}]}}");
        let (table, _) = opened(&section);
        assert!(table.lookup("8.8.8.8".parse().expect("an address"), Protocol::Udp, 7));
    }
}
