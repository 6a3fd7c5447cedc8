"""Where items live: DynamoDB, a folder of files, or this process's memory, behind `protocols.Engine`."""
