"""Generated protobuf messages and gRPC stubs of protos/graphbed/v1. Made by `make protos`; never edited."""
