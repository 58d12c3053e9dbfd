//! To and from `cloudevents-sdk`, where people's code builds and reads events.
