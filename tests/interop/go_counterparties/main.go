package main

import _ "filippo.io/torchwood"

func main() {}
