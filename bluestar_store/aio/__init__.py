"""The Store for asyncio: the same repositories, made by the same code, awaited."""
