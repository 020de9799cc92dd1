use super::super::attributes::Attributes;
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;

pub(crate) fn mutate(_cluster: &dyn Cluster, _attributes: &mut Attributes) -> Result<(), Rejection> {
    Ok(())
}
pub(crate) fn validate(_cluster: &dyn Cluster, _attributes: &mut Attributes) -> Result<(), Rejection> {
    Ok(())
}
pub(crate) fn admit(_cluster: &dyn Cluster, _attributes: &mut Attributes) -> Result<(), Rejection> {
    Ok(())
}
