"""Where rows live. An engine speaks Arrow and knows nothing of Flight, HTTP or users' rights."""
